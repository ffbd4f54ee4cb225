#include "text/tokenizer/post_processor.h"

#include <algorithm>
#include <limits>

namespace vllm::text {
namespace {

constexpr size_t kMaxIds = 1024;

Result<TokenId> as_id(const json::value& value) {
  const int64_t id = value.is_int64() ? value.get_int64() : -1;
  if (id < 0 || id > std::numeric_limits<TokenId>::max())
    return invalid_argument("post_processor: a token id is no valid integer");
  return static_cast<TokenId>(id);
}

// {"special_tokens": {"<s>": {"ids": [1]}}}
Status append_special(const json::object& step, const std::string& name, std::vector<TokenId>& out) {
  const json::object* specials = get_object(step, "special_tokens");
  const json::object* special = specials ? get_object(*specials, name) : nullptr;
  const json::array* ids = special ? get_array(*special, "ids") : nullptr;
  if (!ids) return invalid_argument("post_processor TemplateProcessing: no ids for special token \"{}\"", name);
  for (const json::value& value : *ids) {
    ASSIGN_OR_RETURN(const TokenId id, as_id(value));
    out.push_back(id);
  }
  return Status::ok();
}

Status parse_template(const json::object& step, PostProcessor& out) {
  const json::array* pieces = get_array(step, "single");
  if (!pieces) return invalid_argument("post_processor TemplateProcessing has no list `single`");
  std::vector<TokenId> before, after;
  bool seen = false;
  for (const json::value& value : *pieces) {
    const json::object* piece = value.if_object();
    const json::object* special = piece ? get_object(*piece, "SpecialToken") : nullptr;
    const json::object* sequence = piece ? get_object(*piece, "Sequence") : nullptr;
    if (special) {
      RETURN_IF_ERROR(append_special(step, get_string(*special, "id").value_or(""), seen ? after : before));
    } else if (sequence && !seen && get_string(*sequence, "id") == "A") {
      seen = true;
    } else {
      return invalid_argument(
          "post_processor TemplateProcessing: `single` must hold special tokens and sequence A once");
    }
    if (before.size() + after.size() > kMaxIds)
      return invalid_argument("post_processor: more than {} special tokens", kMaxIds);
  }
  if (!seen) return invalid_argument("post_processor TemplateProcessing: `single` lacks sequence A");
  out.before.insert(out.before.begin(), before.begin(), before.end());
  out.after.insert(out.after.end(), after.begin(), after.end());
  out.decides = true;
  return Status::ok();
}

// RobertaProcessing and BertProcessing: {"cls": ["<s>", 0], "sep": ["</s>", 2]}
Status parse_cls_sep(const json::object& step, PostProcessor& out) {
  const auto id_of = [&](std::string_view key) -> Result<TokenId> {
    const json::array* pair = get_array(step, key);
    if (!pair || pair->size() != 2) return invalid_argument("post_processor: `{}` must be [token, id]", key);
    return as_id((*pair)[1]);
  };
  ASSIGN_OR_RETURN(const TokenId cls, id_of("cls"));
  ASSIGN_OR_RETURN(const TokenId sep, id_of("sep"));
  out.before.insert(out.before.begin(), cls);
  out.after.push_back(sep);
  out.decides = true;
  return Status::ok();
}

Status parse_into(const json::value& value, PostProcessor& out) {
  if (value.is_null()) return Status::ok();
  const json::object* step = value.if_object();
  const auto type = step ? get_string(*step, "type") : std::nullopt;
  if (!type) return invalid_argument("post_processor must be null or an object with a `type`");
  if (out.before.size() + out.after.size() > kMaxIds)
    return invalid_argument("post_processor: more than {} special tokens", kMaxIds);
  if (*type == "ByteLevel") return Status::ok();  // adjusts offsets only
  if (*type == "TemplateProcessing") return parse_template(*step, out);
  if (*type == "RobertaProcessing" || *type == "BertProcessing") return parse_cls_sep(*step, out);
  if (*type == "Sequence") {
    const json::array* members = get_array(*step, "processors");
    if (!members) return invalid_argument("post_processor Sequence has no list `processors`");
    for (const json::value& member : *members) RETURN_IF_ERROR(parse_into(member, out));
    return Status::ok();
  }
  return error(ErrorCode::kUnimplemented,
               "post_processor {} is not supported (known: Sequence, TemplateProcessing, ByteLevel, RobertaProcessing, "
               "BertProcessing)",
               *type);
}

}  // namespace

Result<PostProcessor> PostProcessor::from_json(const json::value& value) {
  PostProcessor out;
  RETURN_IF_ERROR(parse_into(value, out));
  return out;
}

}  // namespace vllm::text

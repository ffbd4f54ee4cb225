#include "text/tokenizer/testing/vectors.h"

#include <algorithm>

#include "base/check.h"
#include "base/mapped_file.h"
#include "text/detokenizer.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text::testing {
namespace {

std::vector<TokenId> to_ids(const json::value& list) {
  std::vector<TokenId> out;
  for (const json::value& id : list.as_array()) out.push_back(static_cast<TokenId>(id.as_int64()));
  return out;
}

std::string show(const std::vector<TokenId>& ids) {
  std::string out;
  for (size_t i = 0; i < std::min<size_t>(ids.size(), 60); ++i) out += fmt::format("{} ", ids[i]);
  return out;
}

std::string from_hex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

// The incremental detokenizer must say the same as decode(), in pieces that are whole characters.
bool stream_agrees(const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<TokenId>& ids, bool skip) {
  Detokenizer stream(tokenizer, {.skip_special_tokens = skip});
  std::string joined;
  for (const TokenId id : ids) {
    const std::string piece = stream.add(id);
    if (!is_utf8(piece)) return false;
    joined += piece;
  }
  joined += stream.finish();
  return joined == tokenizer->decode(ids, skip);
}

}  // namespace

std::string fnv_of_text(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return fmt::format("{:016x}", hash);
}

std::string fnv_of_ids(const std::vector<TokenId>& ids) {
  std::string bytes;
  for (const TokenId id : ids) {
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(static_cast<uint32_t>(id) >> shift & 255);
  }
  return fnv_of_text(bytes);
}

json::value read_json(const std::filesystem::path& path) {
  auto text = read_file(path);
  CHECK(text.has_value());
  auto value = parse_json(*text);
  CHECK(value.has_value());
  return *std::move(value);
}

std::vector<std::string> golden_families() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(kGoldens)) {
    if (std::filesystem::exists(entry.path() / "tokenizer.json")) out.push_back(entry.path().filename().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::shared_ptr<const Tokenizer> golden_tokenizer(const std::string& family) {
  auto loaded = load_tokenizer(kGoldens / family);
  if (!loaded) fmt::print(stderr, "{}\n", loaded.error().message);
  CHECK(loaded.has_value());
  return *std::move(loaded);
}

std::vector<CorpusEntry> read_corpus(const json::value& entries) {
  std::vector<CorpusEntry> out;
  for (const json::value& value : entries.as_array()) {
    const json::object& object = value.as_object();
    CorpusEntry entry{.name = *get_string(object, "name"), .bytes = "", .text = ""};
    if (const auto hex = get_string(object, "hex")) {
      entry.bytes = from_hex(*hex);
    } else if (const auto unit = get_string(object, "unit")) {
      for (int64_t i = 0; i < *get_int(object, "count"); ++i) entry.bytes += *unit;
      entry.bytes += "x";
    } else {
      entry.bytes = *get_string(object, "text");
    }
    entry.text = repair_utf8(entry.bytes);
    out.push_back(std::move(entry));
  }
  return out;
}

VectorReport check_vectors(const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<CorpusEntry>& corpus,
                           const json::value& expected) {
  VectorReport report;
  const auto differ = [&](int& count, std::string text) {
    if (report.first_difference.empty()) report.first_difference = std::move(text);
    ++count;
  };
  const json::array& texts = expected.at("encode").as_array();
  CHECK(texts.size() == corpus.size());
  for (size_t i = 0; i < corpus.size(); ++i) {
    const json::object& wanted = texts[i].as_object();
    auto encoded = tokenizer->encode(corpus[i].bytes);
    ++report.texts;
    if (!encoded) {
      differ(report.texts_wrong, fmt::format("{}: {}", corpus[i].name, encoded.error().message));
      continue;
    }
    const std::vector<TokenId>& ids = *encoded;
    if (const json::value* count = wanted.if_contains("count")) {
      if (count->as_int64() != static_cast<int64_t>(ids.size()) || fnv_of_ids(ids) != *get_string(wanted, "fnv")) {
        differ(report.texts_wrong,
               fmt::format("{}: {} ids, expected {}", corpus[i].name, ids.size(), count->as_int64()));
      }
      continue;
    }
    const std::vector<TokenId> wanted_ids = to_ids(wanted.at("ids"));
    if (ids != wanted_ids) {
      differ(report.texts_wrong, fmt::format("{}: \"{}\"\n  is       {}\n  expected {}", corpus[i].name, corpus[i].text,
                                             show(ids), show(wanted_ids)));
    }
    ++report.decodes;
    const std::string decoded = get_string(wanted, "decoded").value_or(corpus[i].text);
    if (const std::string is = tokenizer->decode(wanted_ids, true); is != decoded) {
      differ(report.decodes_wrong,
             fmt::format("{} decoded:\n  is       \"{}\"\n  expected \"{}\"", corpus[i].name, is, decoded));
    }
    if (!stream_agrees(tokenizer, ids, true)) differ(report.streams_wrong, corpus[i].name + ": stream differs");
  }
  for (const json::value& value : expected.at("decode").as_array()) {
    const std::vector<TokenId> ids = to_ids(value.at("ids"));
    for (const bool skip : {false, true}) {
      ++report.decodes;
      const std::string wanted = *get_string(value.as_object(), skip ? "skip" : "all");
      if (const std::string is = tokenizer->decode(ids, skip); is != wanted) {
        differ(report.decodes_wrong,
               fmt::format("ids {}:\n  is       \"{}\"\n  expected \"{}\"", show(ids), is, wanted));
      }
      if (!stream_agrees(tokenizer, ids, skip)) differ(report.streams_wrong, show(ids) + ": stream differs");
    }
  }
  return report;
}

}  // namespace vllm::text::testing

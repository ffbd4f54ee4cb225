#include "text/tokenizer/raw_vocabularies.h"
#include "text/tokenizer/spm_merges.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {

Result<TokenizerParts> make_ranked_bpe(const std::vector<std::string>& tokens, TokenId first_id,
                                       std::string_view split_rule) {
  TokenizerParts parts;
  std::string arena;
  std::vector<size_t> ends;
  ends.reserve(tokens.size());
  for (const std::string& token : tokens) {
    for (const char c : token) append_char(arena, to_byte_alphabet(static_cast<unsigned char>(c)));
    ends.push_back(arena.size());
  }
  std::vector<Vocabulary::Entry> entries;
  entries.reserve(tokens.size());
  size_t begin = 0;
  int64_t id = first_id;
  for (const size_t end : ends) {
    if (end > begin)
      entries.push_back({std::string_view(arena).substr(begin, end - begin), id});  // ranks may have holes
    ++id;
    begin = end;
  }
  ASSIGN_OR_RETURN(Vocabulary model, Vocabulary::build(entries));
  parts.model = std::make_shared<const Vocabulary>(std::move(model));
  std::vector<double> scores(static_cast<size_t>(parts.model->size()));
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = -static_cast<double>(i);
  parts.merges = spm_merges(*parts.model, scores);
  ASSIGN_OR_RETURN(SplitStep split, make_split(split_rule));
  parts.pre_tokenizer = PreTokenizer({std::move(split)}, true);
  parts.bpe.byte_level = true;
  parts.bpe.ignore_merges = true;
  parts.decoder = Decoder::make_byte_level();
  parts.kind = "BPE, byte level";
  return parts;
}

}  // namespace vllm::text

// BPE with its cuts, caches and tables against the plain algorithm, on random vocabularies and texts.
#include "text/tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

// What a test needs to know about a random model.
struct Model {
  Vocabulary vocabulary;
  std::vector<MergeRule> merges;
  BpeOptions options;
};

std::string spell(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) append_char(out, to_byte_alphabet(static_cast<unsigned char>(c)));
  return out;
}

class RandomModels {
 public:
  explicit RandomModels(unsigned seed) : random_(seed) {}
  size_t below(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random_); }
  bool chance(int percent) { return below(100) < static_cast<size_t>(percent); }

  const std::vector<std::string>& characters() const { return characters_; }

  Model make(bool byte_level, bool blanks) {
    Model model;
    model.options = {.byte_level = byte_level,
                     .ignore_merges = !blanks && chance(30),
                     .byte_fallback = !byte_level && chance(50),
                     .fuse_unk = chance(50),
                     .unk_id = -1,
                     .blanks = blanks};
    std::vector<std::string> tokens = {"<unk>"};
    if (!byte_level && chance(60)) model.options.unk_id = 0;
    for (int byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      if (byte_level && (byte < 0x80 || chance(98))) tokens.push_back(spell(std::string_view(&c, 1)));
      if (model.options.byte_fallback && chance(99)) tokens.push_back(fmt::format("<0x{:02X}>", byte));
    }
    size_t first = tokens.size();
    if (byte_level) {
      first = 1;
    } else {
      for (const std::string& character : characters_) {
        if (character == " ") {
          tokens.emplace_back(kMetaspace);
        } else if (chance(90)) {
          tokens.push_back(character);
        }
      }
    }
    struct Pair {
      std::string left, right;
    };
    std::vector<Pair> pairs;
    const size_t count = 40 + below(400);
    for (size_t i = 0; i < count; ++i) {
      Pair pair = {tokens[first + below(tokens.size() - first)], tokens[first + below(tokens.size() - first)]};
      if (byte_level && chance(60)) {  // the bytes of a character, or what begins with them
        const std::string bytes = spell(characters_[below(characters_.size())]);
        size_t cut = 0;
        read_char(bytes, cut);
        if (cut < bytes.size()) {
          pair = {bytes.substr(0, cut), bytes.substr(cut)};
          if (chance(50)) read_char(bytes, cut);
          if (cut < bytes.size()) pair = {bytes.substr(0, cut), bytes.substr(cut)};
        }
      }
      if (pair.left.size() + pair.right.size() > 40) continue;
      for (const std::string& half : {pair.left, pair.right}) {
        if (std::find(tokens.begin(), tokens.end(), half) == tokens.end()) tokens.push_back(half);
      }
      const std::string joined = pair.left + pair.right;
      if (std::find(tokens.begin(), tokens.end(), joined) == tokens.end()) tokens.push_back(joined);
      pairs.push_back(std::move(pair));
    }
    if (chance(30)) std::shuffle(pairs.begin(), pairs.end(), random_);  // no training would give such ranks
    std::vector<Vocabulary::Entry> entries;
    for (size_t i = 0; i < tokens.size(); ++i) entries.push_back({tokens[i], static_cast<int64_t>(i)});
    model.vocabulary = *Vocabulary::build(entries);
    for (const Pair& pair : pairs) {
      model.merges.push_back(
          {model.vocabulary.find(pair.left),
           model.vocabulary.find(pair.right),
           {static_cast<uint32_t>(model.merges.size()), model.vocabulary.find(pair.left + pair.right)}});
    }
    return model;
  }

  std::string text(size_t max_parts) {
    std::string out;
    const size_t parts = 1 + below(max_parts);
    for (size_t i = 0; i < parts; ++i) {
      const std::string& character = characters_[below(characters_.size())];
      const size_t repeats = chance(4) ? 1 + below(60) : 1;
      for (size_t k = 0; k < repeats; ++k) out += character;
    }
    return out;
  }

 private:
  std::mt19937 random_;
  std::vector<std::string> characters_ = {"a",
                                          "b",
                                          "c",
                                          "(",
                                          ".",
                                          "\n",
                                          " ",
                                          "\xC3\xA9",
                                          "\xD0\xB6",
                                          "\xE4\xB8\xAD",
                                          "\xE6\x96\x87",
                                          "\xE6\x97\xA5",
                                          "\xE3\x81\x82",
                                          "\xF0\x9F\x98\x80",
                                          "Q"};
};

std::vector<TokenId> plain_symbols(const Model& model, std::string_view word) {
  std::vector<TokenId> symbols;
  bool unknown = false;
  const auto write_unknown = [&] {
    if (unknown) symbols.push_back(model.options.unk_id);
    unknown = false;
  };
  for (size_t pos = 0; pos < word.size();) {
    const size_t begin = pos;
    if (model.options.byte_level)
      ++pos;
    else
      read_char(word, pos);
    const std::string_view bytes = word.substr(begin, pos - begin);
    std::string spelled(bytes);
    if (model.options.byte_level) spelled = spell(bytes);
    if (model.options.blanks && spelled == " ") spelled = kMetaspace;
    if (const TokenId id = model.vocabulary.find(spelled); id >= 0) {
      write_unknown();
      symbols.push_back(id);
      continue;
    }
    std::vector<TokenId> fallback;
    for (const char c : bytes) {
      fallback.push_back(model.vocabulary.find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(c))));
    }
    if (model.options.byte_fallback && std::find(fallback.begin(), fallback.end(), -1) == fallback.end()) {
      symbols.insert(symbols.end(), fallback.begin(), fallback.end());
      continue;
    }
    if (model.options.unk_id < 0) continue;
    if (!model.options.fuse_unk) write_unknown();
    unknown = true;
  }
  write_unknown();
  return symbols;
}

// Again and again the lowest rank, leftmost. A later rule for the same pair wins.
std::vector<TokenId> plain_bpe(const Model& model, std::string_view word) {
  if (model.options.ignore_merges) {
    const TokenId id = model.vocabulary.find(model.options.byte_level ? spell(word) : std::string(word));
    if (id >= 0) return {id};
  }
  std::map<std::pair<TokenId, TokenId>, Merge> merges;
  for (const MergeRule& rule : model.merges) merges[{rule.left, rule.right}] = rule.merge;
  std::vector<TokenId> symbols = plain_symbols(model, word);
  while (true) {
    const Merge* best = nullptr;
    size_t at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = merges.find({symbols[i], symbols[i + 1]});
      if (found == merges.end() || (best && found->second.rank >= best->rank)) continue;
      best = &found->second;
      at = i;
    }
    if (!best) return symbols;
    symbols[at] = best->id;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

// Words are the texts between cut points at random; the same words come again, in the same run and in a later one.
void compare(unsigned seed, bool byte_level, bool blanks) {
  RandomModels random(seed);
  const Model model = random.make(byte_level, blanks);
  const Bpe bpe(model.vocabulary, model.merges, model.options);
  std::vector<std::string> texts;
  for (int i = 0; i < 30; ++i) texts.push_back(random.text(i < 20 ? 8 : 60));
  std::vector<std::vector<TokenId>> expected;
  for (const std::string& text : texts) expected.push_back(plain_bpe(model, text));
  for (int round = 0; round < 2; ++round) {
    std::vector<TokenId> ids, all;
    {
      Bpe::Run run(bpe, ids);
      for (int i = 0; i < 80; ++i) {
        const size_t pick = random.below(texts.size());
        if (random.chance(10)) {
          run.append(7);
          all.push_back(7);
        }
        run.word(texts[pick], 0, texts[pick].size());
        all.insert(all.end(), expected[pick].begin(), expected[pick].end());
      }
    }
    ASSERT_EQ(ids, all) << "seed " << seed << ", round " << round;
  }
}

TEST(Bpe, EqualsThePlainAlgorithmOnBytes) {
  for (unsigned seed = 0; seed < 120; ++seed) compare(seed, true, false);
}
TEST(Bpe, EqualsThePlainAlgorithmOnCharacters) {
  for (unsigned seed = 0; seed < 120; ++seed) compare(seed, false, false);
}
TEST(Bpe, EqualsThePlainAlgorithmOnCharactersWithBlanks) {
  for (unsigned seed = 0; seed < 120; ++seed) compare(seed, false, true);
}

}  // namespace
}  // namespace vllm::text

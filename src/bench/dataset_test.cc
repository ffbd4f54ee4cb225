#include "bench/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "bench/random.h"

namespace vllm::bench {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

// r = numpy.random.default_rng(seed): three calls of r.integers in a row, then one above 32 bits, then a range of one
TEST(NumpyRng, GivesNumpysNumbers) {
  NumpyRng zero(0);
  EXPECT_THAT(zero.integers(512, 1537, 6), ElementsAre(1383, 1164, 1035, 788, 827, 553));
  EXPECT_THAT(zero.integers(64, 193, 5), ElementsAre(73, 66, 86, 168, 147));
  EXPECT_THAT(zero.integers(0, 151643, 4), ElementsAre(138412, 76371, 91992, 147206));
  EXPECT_THAT(zero.integers(0, int64_t{1} << 40, 3), ElementsAre(597721999265, 1028123002767, 897040469319));
  EXPECT_THAT(zero.integers(5, 6, 2), ElementsAre(5, 5));
  NumpyRng other(42);
  EXPECT_THAT(other.integers(512, 1537, 6), ElementsAre(603, 1305, 1182, 961, 955, 1392));
}

// random.seed(s); random.shuffle(list(range(10))); [random.choice(range(7)) for _ in range(6)]; random.random() twice
TEST(MersenneTwister, GivesPythonsNumbers) {
  struct Row {
    uint64_t seed;
    std::vector<int> shuffled;
    std::vector<uint64_t> choices;
    double first, second;
  };
  for (const Row& row :
       {Row{0, {7, 8, 1, 5, 3, 4, 2, 0, 9, 6}, {2, 4, 1, 4, 1, 2}, 0.1397457849666789, 0.09483076347685593},
        Row{42, {7, 3, 2, 8, 5, 6, 9, 4, 0, 1}, {4, 3, 0, 0, 0, 1}, 0.2326608933907396, 0.6020187290499803}}) {
    MersenneTwister rng = MersenneTwister::python(row.seed);
    std::vector<int> items(10);
    std::iota(items.begin(), items.end(), 0);
    python_shuffle(rng, items);
    EXPECT_EQ(items, row.shuffled);
    std::vector<uint64_t> choices(6);
    for (uint64_t& choice : choices) choice = rng.below(7);
    EXPECT_EQ(choices, row.choices);
    EXPECT_EQ(rng.uniform(), row.first);
    EXPECT_EQ(rng.uniform(), row.second);
  }
}

// np.random.seed(42); four draws of shape 1, four of shape 0.5, scale 0.25
TEST(MersenneTwister, GivesNumpysGamma) {
  MersenneTwister rng = MersenneTwister::numpy(42);
  for (double expected : {0.11731702249421477, 0.7525303577293803, 0.32918642338636234, 0.2282356384439883})
    EXPECT_NEAR(rng.gamma(1, 0.25), expected, 1e-14);
  for (double expected : {0.006085454041376572, 0.0008434265006264522, 0.09393228488684804, 0.00010593035135348087})
    EXPECT_NEAR(rng.gamma(0.5, 0.25), expected, 1e-14);
}

std::shared_ptr<const text::Tokenizer> tokenizer() {
  static auto loaded = text::load_tokenizer("tests/golden/tokenizer/gpt2").value();
  return loaded;
}

DatasetArgs small(int64_t seed = 0) {
  DatasetArgs args;
  args.num_prompts = 20, args.random_input_len = 32, args.random_output_len = 8;
  args.seed = seed;
  return args;
}

TEST(RandomDataset, OfIdsIsAFunctionOfTheSeed) {
  auto a = make_samples(small(), PromptForm::kIds, nullptr).value(),
       b = make_samples(small(), PromptForm::kIds, nullptr).value();
  auto c = make_samples(small(1), PromptForm::kIds, nullptr).value();
  ASSERT_EQ(a.size(), 20u);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].ids, b[i].ids);
    EXPECT_NE(a[i].ids, c[i].ids);
    EXPECT_EQ(a[i].ids.size(), 32u);
    EXPECT_EQ(a[i].prompt_len, 32);
    EXPECT_EQ(a[i].output_len, 8);
    EXPECT_THAT(a[i].ids, Each(testing::AllOf(testing::Ge(0), testing::Lt(10000))));
    if (i > 0) {
      EXPECT_NE(a[i].ids[0], a[0].ids[0]) << "no shared prefix";
    }
  }
}

TEST(RandomDataset, DrawsLengthsAsVllmDoes) {
  DatasetArgs args = small();
  args.num_prompts = 6, args.random_input_len = 1024, args.random_output_len = 128;
  args.random_range_ratio = "0.5";
  auto got = make_samples(args, PromptForm::kIds, nullptr).value();
  const int64_t inputs[] = {1383, 1164, 1035, 788, 827, 553};  // rng.integers(512, 1537, 6)
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(got[i].prompt_len, inputs[i]);
  EXPECT_EQ(got[0].output_len, 73);  // rng.integers(64, 193, 6)
  args.random_range_ratio = R"({"input": 0.5, "output": 0})";
  got = make_samples(args, PromptForm::kIds, nullptr).value();
  EXPECT_EQ(got[5].prompt_len, 553);
  EXPECT_EQ(got[0].output_len, 128);
  for (const char* wrong : {"", "x", "1", "-0.1", "nan", R"({"input": 0.5})"}) {
    args.random_range_ratio = wrong;
    EXPECT_FALSE(make_samples(args, PromptForm::kIds, nullptr)) << wrong;
  }
}

TEST(RandomDataset, SharesAPrefixWhereAsked) {
  DatasetArgs args = small();
  args.random_prefix_len = 5;
  auto got = make_samples(args, PromptForm::kIds, nullptr).value();
  for (const Sample& sample : got) {
    EXPECT_EQ(sample.ids.size(), 37u);
    EXPECT_TRUE(std::equal(sample.ids.begin(), sample.ids.begin() + 5, got[0].ids.begin()));
  }
}

TEST(RandomDataset, OfTextHasTheWantedLength) {
  auto a = make_samples(small(), PromptForm::kText, tokenizer().get()).value();
  auto b = make_samples(small(), PromptForm::kText, tokenizer().get()).value();
  int exact = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].text, b[i].text);
    EXPECT_TRUE(a[i].ids.empty());
    EXPECT_EQ(static_cast<int64_t>(tokenizer()->encode(a[i].text)->size()), a[i].prompt_len);
    exact += a[i].prompt_len == 32;
  }
  EXPECT_GE(exact, 14);  // of a vocabulary of a thousand tokens, some texts refuse to settle
}

// What vLLM's client makes of the same tokenizer, seed and lengths (tests/golden/bench/make.py): text for text.
TEST(RandomDataset, OfTextIsVllms) {
  PromptTokenizer smollm = find_tokenizer("tests/golden/tokenizer/smollm", "").value();
  EXPECT_EQ(smollm.vocabulary.size, 1100);
  DatasetArgs args = small(3);
  args.num_prompts = 6, args.random_input_len = 40, args.random_prefix_len = 6;
  args.random_range_ratio = "0.5";
  auto got = make_samples(args, PromptForm::kText, smollm.tokenizer.get(), smollm.vocabulary).value();
  std::ifstream file("tests/golden/bench/random_prompts.json");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const json::value recorded = parse_json(text).value();
  ASSERT_EQ(recorded.as_array().size(), got.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].text, std::string_view(recorded.at(i).at("prompt").as_string())) << i;
    EXPECT_EQ(got[i].prompt_len, recorded.at(i).at("prompt_len").as_int64()) << i;
    EXPECT_EQ(got[i].output_len, recorded.at(i).at("output_len").as_int64()) << i;
  }
}

TEST(RandomDataset, RefusesWhatCannotBe) {
  DatasetArgs args = small();
  args.random_input_len = 0;
  EXPECT_THAT(make_samples(args, PromptForm::kIds, nullptr).error().message, HasSubstr("--random-input-len"));
  args = small();
  args.num_prompts = int64_t{1} << 40;
  EXPECT_FALSE(make_samples(args, PromptForm::kIds, nullptr));
  args = small();
  args.dataset_path = "x";
  EXPECT_THAT(make_samples(args, PromptForm::kIds, nullptr).error().message, HasSubstr("--dataset-path"));
  EXPECT_FALSE(make_samples(small(), PromptForm::kText, nullptr));
}

class FileDataset : public testing::Test {
 protected:
  DatasetArgs file(const std::string& name, const std::string& text) {
    path_ = testing::TempDir() + "/vllm_bench_dataset_test";
    std::ofstream(path_) << text;
    DatasetArgs args = small();
    args.dataset_name = name, args.dataset_path = path_;
    args.num_prompts = 3;
    return args;
  }
  ~FileDataset() override { std::filesystem::remove(path_); }
  std::string path_;
};

TEST_F(FileDataset, CustomLines) {
  DatasetArgs args =
      file("custom", "{\"prompt\": \"one\", \"output_tokens\": 3}\n\n{\"prompt\": \"two\", \"output_tokens\": 4}\n");
  args.disable_shuffle = true;
  auto got = make_samples(args, PromptForm::kText, nullptr).value();
  ASSERT_EQ(got.size(), 3u);  // one of them again
  EXPECT_EQ(got[0].text, "one");
  EXPECT_EQ(got[1].output_len, 256);
  args.custom_output_len = -1, args.no_oversample = true;
  got = make_samples(args, PromptForm::kText, tokenizer().get()).value();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1].output_len, 4);
  EXPECT_EQ(got[1].prompt_len, static_cast<int64_t>(tokenizer()->encode("two")->size()));
  for (const char* wrong : {"", "[1]\n", "{\"x\": 1}\n", "{\n"})
    EXPECT_FALSE(make_samples(file("custom", wrong), PromptForm::kText, nullptr)) << wrong;
}

TEST_F(FileDataset, ShareGpt) {
  std::string text = "[";
  for (int i = 0; i < 5; ++i)
    text += fmt::format(
        R"({{"conversations":[{{"value":"question number {} of all"}},{{"value":"the answer is {}"}}]}},)", i, i);
  text += R"({"conversations":[{"value":"a"},{"value":"b"}]},{"conversations":[{"value":"alone"}]},{"x":1},3])";
  DatasetArgs args = file("sharegpt", text);
  args.num_prompts = 10, args.no_oversample = true;
  auto got = make_samples(args, PromptForm::kText, tokenizer().get()).value();
  EXPECT_EQ(got.size(), 5u);  // the short ones and the ill-formed are left out
  EXPECT_THAT(got[0].text, HasSubstr("question number"));
  EXPECT_GE(got[0].output_len, 4);
  args.output_len = 7;
  EXPECT_EQ(make_samples(args, PromptForm::kText, tokenizer().get())->front().output_len, 7);
  EXPECT_FALSE(make_samples(args, PromptForm::kText, nullptr));
  EXPECT_FALSE(make_samples(file("sharegpt", "{}"), PromptForm::kText, tokenizer().get()));
  args.dataset_path = "/no/such/file";
  EXPECT_THAT(make_samples(args, PromptForm::kText, tokenizer().get()).error().message, HasSubstr("/no/such/file"));
}

}  // namespace
}  // namespace vllm::bench

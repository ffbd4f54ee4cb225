#include "engine/testing/fake_device.h"

#include <fmt/core.h>

#include <algorithm>
#include <stdexcept>

namespace vllm::engine::testing {
namespace {

uint64_t mix(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
uint64_t extend(uint64_t history, TokenId token) { return mix(history ^ mix(static_cast<uint32_t>(token) + 1)); }
TokenId toy_next(uint64_t history, uint64_t seed, int vocab) {
  return static_cast<TokenId>(mix(history ^ mix(seed)) % vocab);
}
uint64_t content(uint64_t history, size_t group) { return mix(history + group + 1); }

template <typename... Args>
void require(bool ok, fmt::format_string<Args...> format, Args&&... args) {
  if (!ok) throw std::runtime_error(fmt::format(format, std::forward<Args>(args)...));
}
bool contains(const std::vector<TokenId>& ids, TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

std::vector<TokenId> toy_tokens(std::span<const TokenId> prompt, int count, uint64_t seed, int vocab) {
  uint64_t history = 0;
  for (TokenId token : prompt) history = extend(history, token);
  std::vector<TokenId> out;
  while (static_cast<int>(out.size()) < count) {
    out.push_back(toy_next(history, seed, vocab));
    history = extend(history, out.back());
  }
  return out;
}

FakeDevice::FakeDevice(FakeDeviceOptions options)
    : options_(std::move(options)), pages_(static_cast<size_t>(options_.num_blocks * options_.block_size)) {}

void FakeDevice::Slot::push(TokenId token) {
  history.push_back(extend(history.empty() ? 0 : history.back(), token));
  tokens.push_back(token);
}

StepResult FakeDevice::run(const StepInput& input, const SampleInput& sample) {
  StepResult result{.step = input.step, .slots = {}, .error = {}};
  try {
    require(input.step == sample.step, "sample of step {} after forward of {}", sample.step, input.step);
    require(input.step > last_step_, "step {} after {}", input.step, last_step_);
    last_step_ = input.step;
    for (SlotId slot : input.ended) require(slots_.erase(slot) == 1, "slot {} ended, but was not in use", slot);
    for (const SlotStart& s : input.starts) start(s);
    for (const BlockDelta& delta : input.block_deltas) apply_delta(delta);
    require(!input.work.empty(), "empty plan");
    int64_t total = 0;
    for (const SlotWork& work : input.work) {
      result.slots.push_back(run_slot(input.step, work));
      total += work.num_tokens;
    }
    require(total <= options_.max_tokens_per_step, "{} tokens in a step", total);
  } catch (const std::exception& e) {
    result.error = fmt::format("step {}: {}", input.step, e.what());
  }
  return result;
}

void FakeDevice::start(const SlotStart& s) {
  require(s.slot >= 0 && s.slot < options_.max_num_seqs, "slot {} out of range", s.slot);
  auto [where, is_new] = slots_.try_emplace(s.slot);
  require(is_new, "slot {} started twice", s.slot);
  Slot& slot = where->second;
  for (TokenId token : s.token_ids) slot.push(token);
  slot.num_prompt = s.num_prompt_tokens;
  slot.num_computed = s.num_computed_tokens;
  require(slot.num_computed < static_cast<int64_t>(slot.tokens.size()), "slot {}: nothing left to compute", s.slot);
  slot.sampling = s.sampling;
  slot.tables.resize(options_.sliding_windows.size());
}

void FakeDevice::apply_delta(const BlockDelta& delta) {
  require(slots_.contains(delta.slot), "pages for unused slot {}", delta.slot);
  auto& table = slots_[delta.slot].tables.at(static_cast<size_t>(delta.group));
  require(delta.first_index <= static_cast<int32_t>(table.size()), "hole in the block table of slot {}", delta.slot);
  table.resize(static_cast<size_t>(delta.first_index));
  for (int32_t id : delta.block_ids) {
    require(id >= 0 && id < options_.num_blocks, "page {} out of range", id);
    table.push_back(id);
  }
}

SlotResult FakeDevice::run_slot(StepId step, const SlotWork& work) {
  require(slots_.contains(work.slot), "work for unused slot {}", work.slot);
  Slot& slot = slots_[work.slot];
  SlotResult result{.slot = work.slot, .token_ids = {}, .logprobs = {}, .prompt_logprobs = {}};
  if (slot.stopped) require(++slot.steps_after_stop < options_.phases, "slot {} runs on after its stop", work.slot);
  const int64_t begin = slot.num_computed, known = static_cast<int64_t>(slot.tokens.size()) - begin;
  require(work.num_tokens >= 1, "slot {}: no tokens", work.slot);
  require(work.num_tokens <= known || known == 1, "slot {}: {} tokens of {}", work.slot, work.num_tokens, known);
  require(work.samples == (work.num_tokens >= known), "slot {}: samples is {} with {} tokens of {}", work.slot,
          work.samples, work.num_tokens, known);
  check_reads(slot);
  const int64_t fixed = std::min<int64_t>(work.num_tokens, known);
  for (int64_t p = begin; p < begin + fixed; ++p) {
    write(work.slot, slot, p, slot.history[static_cast<size_t>(p)]);
    if (work.prompt_logprobs && p + 1 < slot.num_prompt)
      result.prompt_logprobs.push_back({{.token = slot.tokens[static_cast<size_t>(p + 1)], .logprob = -1, .rank = 1}});
  }
  slot.num_computed += fixed;
  if (!work.samples) return result;
  // Some drafts exist, some of these are accepted; the rest leave rubbish behind in their places.
  const uint64_t dice = mix(options_.seed ^ mix(step * 4096 + static_cast<uint64_t>(work.slot)));
  const int64_t drafts = static_cast<int64_t>(dice % static_cast<uint64_t>(work.num_tokens - fixed + 1));
  const int64_t accepted = static_cast<int64_t>((dice >> 32) % static_cast<uint64_t>(drafts + 1));
  result.num_drafts = static_cast<int32_t>(drafts);
  append(slot, result);
  for (int64_t d = 0; d < drafts; ++d) {
    const int64_t p = begin + fixed + d;
    if (d >= accepted) {
      write(work.slot, slot, p, dice);
      continue;
    }
    write(work.slot, slot, p, slot.history[static_cast<size_t>(p)]);
    ++slot.num_computed;
    append(slot, result);
  }
  return result;
}

void FakeDevice::append(Slot& slot, SlotResult& result) {
  const TokenId token = toy_next(slot.history.back(), slot.sampling.seed, options_.vocab);
  slot.push(token);
  result.token_ids.push_back(token);
  if (slot.sampling.logprobs) result.logprobs.push_back({{.token = token, .logprob = -0.5f, .rank = 1}});
  const int64_t outputs = static_cast<int64_t>(slot.tokens.size()) - slot.num_prompt;
  require(outputs <= slot.sampling.max_tokens, "{} output tokens of {}", outputs, slot.sampling.max_tokens);
  if (outputs < slot.sampling.min_tokens) return;
  slot.stopped |= (!slot.sampling.ignore_eos && contains(slot.sampling.eos_token_ids, token)) ||
                  contains(slot.sampling.stop_token_ids, token);
}

int64_t FakeDevice::first_visible(size_t group, int64_t position) const {
  const int64_t window = options_.sliding_windows[group];
  return window == 0 ? 0 : std::max<int64_t>(0, position - window + 1);
}

// Everything that a query at num_computed attends to must be what this very history wrote.
void FakeDevice::check_reads(const Slot& slot) const {
  for (size_t g = 0; g < slot.tables.size(); ++g)
    for (int64_t p = first_visible(g, slot.num_computed); p < slot.num_computed; ++p) {
      const int32_t page = slot.tables[g].at(static_cast<size_t>(p / options_.block_size));
      require(page != 0, "reads the null page at {}", p);
      require(pages_[static_cast<size_t>(page * options_.block_size + p % options_.block_size)] ==
                  content(slot.history[static_cast<size_t>(p)], g),
              "page {} does not hold position {} of group {}", page, p, g);
    }
}

void FakeDevice::write(SlotId id, const Slot& slot, int64_t position, uint64_t history) {
  for (size_t g = 0; g < slot.tables.size(); ++g) {
    const size_t index = static_cast<size_t>(position / options_.block_size);
    require(index < slot.tables[g].size(), "slot {}: no page for position {}", id, position);
    const int32_t page = slot.tables[g][index];
    require(page != 0, "slot {}: writes the null page at {}", id, position);
    pages_[static_cast<size_t>(page * options_.block_size + position % options_.block_size)] = content(history, g);
    for (const auto& [other_id, other] : slots_) {
      if (other_id == id) continue;
      for (size_t h = 0; h < other.tables.size(); ++h)
        for (int64_t i = first_visible(h, other.num_computed) / options_.block_size;
             i * options_.block_size < other.num_computed; ++i)
          require(other.tables[h].at(static_cast<size_t>(i)) != page, "slot {} writes page {}, which slot {} reads", id,
                  page, other_id);
    }
  }
}

}  // namespace vllm::engine::testing

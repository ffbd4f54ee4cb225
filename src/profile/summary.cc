#include "profile/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "profile/kernel_names.h"

namespace vllm::profile {
namespace {

constexpr size_t kNameWidth = 72;
constexpr size_t kFewSteps = 8;  // say nothing of

double us(int64_t ns) { return static_cast<double>(ns) / 1000; }

struct Step {
  bool decode = false;
  int64_t num_seqs = 0, num_tokens = 0;
  std::vector<const GpuActivity*> activities;
  int64_t begin_ns = 0, end_ns = 0;
};

// Steps whose launch and activities are both in the recording, by id.
std::map<int64_t, Step> steps_of(const PhaseLog& log, const GpuTrace& gpu) {
  std::map<int64_t, Step> steps;
  for (const Phase& phase : log.phases) {
    if (phase.step < 0 || phase.num_seqs == 0) continue;
    Step& step = steps[phase.step];
    step.decode = phase.num_seqs == phase.num_tokens;
    step.num_seqs = phase.num_seqs, step.num_tokens = phase.num_tokens;
  }
  for (const GpuActivity& activity : gpu.activities) {
    if (activity.kind == GpuActivity::Kind::kApi) continue;
    if (auto it = steps.find(activity.step); it != steps.end()) it->second.activities.push_back(&activity);
  }
  std::erase_if(steps, [](const auto& entry) { return entry.second.activities.empty(); });
  for (auto& [id, step] : steps) {
    std::sort(step.activities.begin(), step.activities.end(),
              [](const auto* a, const auto* b) { return a->begin_ns < b->begin_ns; });
    step.begin_ns = step.activities.front()->begin_ns;
    for (const GpuActivity* a : step.activities) step.end_ns = std::max(step.end_ns, a->end_ns);
  }
  return steps;
}

class KernelTimes {
 public:
  /// Returns the time in which something ran.
  int64_t add(const Step& step) {
    int64_t busy = 0, until = step.begin_ns;
    for (const GpuActivity* a : step.activities) {
      const int64_t added = std::max<int64_t>(0, a->end_ns - std::max(until, a->begin_ns));
      StepFigures::Kernel& kernel = by_name_[a->name];
      ++kernel.count, kernel.total_ns += added;
      busy += added, until = std::max(until, a->end_ns);
    }
    return busy;
  }
  std::vector<StepFigures::Kernel> sorted(const std::vector<std::string>& names) const {
    std::vector<StepFigures::Kernel> out;
    for (const auto& [name, kernel] : by_name_) {
      out.push_back(kernel);
      out.back().name = name < names.size() ? names[name] : "?";
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
      return a.total_ns != b.total_ns ? a.total_ns > b.total_ns : a.name < b.name;
    });
    return out;
  }

 private:
  std::unordered_map<uint32_t, StepFigures::Kernel> by_name_;
};

void add_table(std::string& out, const char* title, const StepFigures& f, size_t rows) {
  if (f.num_steps == 0) return;
  const auto steps = static_cast<double>(f.num_steps);
  out += fmt::format(
      "{}: {} of {:.1f} sequences and {:.1f} tokens on average; {:.1f} us each on the GPU, busy {:.1f}%\n", title,
      f.num_steps, static_cast<double>(f.num_seqs) / steps, static_cast<double>(f.num_tokens) / steps,
      us(f.span_ns) / steps, f.span_ns > 0 ? 100 * static_cast<double>(f.busy_ns) / static_cast<double>(f.span_ns) : 0);
  out += "   us/step  share  calls/step   us/call  kernel\n";
  int64_t total = 0, shown = 0;
  for (const auto& kernel : f.kernels) total += kernel.total_ns;
  for (size_t i = 0; i < f.kernels.size() && i < rows; ++i) {
    const StepFigures::Kernel& k = f.kernels[i];
    shown += k.total_ns;
    out += fmt::format("{:10.2f} {:5.1f}% {:11.2f} {:9.2f}  {}\n", us(k.total_ns) / steps,
                       total > 0 ? 100 * static_cast<double>(k.total_ns) / static_cast<double>(total) : 0,
                       static_cast<double>(k.count) / steps, us(k.total_ns) / static_cast<double>(k.count),
                       short_kernel_name(k.name, kNameWidth));
  }
  if (f.kernels.size() > rows)
    out += fmt::format("{:10.2f}  in {} other kernels\n", us(total - shown) / steps, f.kernels.size() - rows);
}

json::object figures_json(const StepFigures& f) {
  json::array kernels;
  for (const auto& k : f.kernels)
    kernels.push_back({{"name", k.name}, {"count", k.count}, {"total_us", us(k.total_ns)}});
  return {{"steps", f.num_steps},         {"sequences", f.num_seqs},      {"tokens", f.num_tokens},
          {"gpu_span_us", us(f.span_ns)}, {"gpu_busy_us", us(f.busy_ns)}, {"kernels", std::move(kernels)}};
}

}  // namespace

int64_t percentile_of(const std::vector<int64_t>& ascending, double percent) {
  if (ascending.empty()) return 0;
  const double rank = std::ceil(percent / 100 * static_cast<double>(ascending.size()));
  return ascending[std::min(ascending.size() - 1, static_cast<size_t>(std::max(rank, 1.0)) - 1)];
}

Summary summarize(const PhaseLog& log, const GpuTrace& gpu) {
  Summary out;
  KernelTimes decode, other;
  const std::map<int64_t, Step> steps = steps_of(log, gpu);
  const Step* before = nullptr;
  int64_t before_id = 0;
  for (const auto& [id, step] : steps) {
    StepFigures& figures = step.decode ? out.decode : out.other;
    ++figures.num_steps;
    figures.num_seqs += step.num_seqs, figures.num_tokens += step.num_tokens;
    figures.span_ns += step.end_ns - step.begin_ns, figures.busy_ns += (step.decode ? decode : other).add(step);
    if (before && before_id + 1 == id && before->decode && step.decode) {
      out.idle_ns.push_back(std::max<int64_t>(0, step.begin_ns - before->end_ns));
      if (before->num_seqs == step.num_seqs) out.period_ns[step.num_seqs].push_back(step.begin_ns - before->begin_ns);
    }
    before = &step, before_id = id;
  }
  out.decode.kernels = decode.sorted(gpu.names), out.other.kernels = other.sorted(gpu.names);
  std::sort(out.idle_ns.begin(), out.idle_ns.end());
  for (auto& [num_seqs, periods] : out.period_ns) std::sort(periods.begin(), periods.end());
  std::map<std::string, Summary::HostPhase> phases;
  for (const Phase& phase : log.phases) {
    Summary::HostPhase& p = phases[phase.name];
    ++p.count, p.total_ns += phase.end_ns - phase.begin_ns;
    p.longest_ns = std::max(p.longest_ns, phase.end_ns - phase.begin_ns);
  }
  for (auto& [name, phase] : phases) out.phases.push_back(phase), out.phases.back().name = name;
  return out;
}

std::string to_text(const Summary& s, size_t rows) {
  std::string out;
  add_table(out, "Decode steps", s.decode, rows);
  add_table(out, "Steps with prefill", s.other, rows);
  if (!s.idle_ns.empty()) {
    out += fmt::format("GPU idle between decode steps: p50 {:.2f} us, p99 {:.2f} us, max {:.2f} us ({} gaps)\n",
                       us(percentile_of(s.idle_ns, 50)), us(percentile_of(s.idle_ns, 99)), us(s.idle_ns.back()),
                       s.idle_ns.size());
  }
  for (const auto& [num_seqs, periods] : s.period_ns) {
    if (periods.size() < kFewSteps) continue;
    out += fmt::format("Decode step of {} sequences: p50 {:.1f} us, p99 {:.1f} us ({} steps)\n", num_seqs,
                       us(percentile_of(periods, 50)), us(percentile_of(periods, 99)), periods.size());
  }
  if (!s.phases.empty()) out += "Host phases, us (mean / longest, count):";
  for (const Summary::HostPhase& p : s.phases) {
    out += fmt::format(" {} {:.1f} / {:.1f} ({})", p.name, us(p.total_ns) / static_cast<double>(p.count),
                       us(p.longest_ns), p.count);
  }
  if (!s.phases.empty()) out += "\n";
  return out;
}

json::object to_json(const Summary& s) {
  json::object out{{"decode", figures_json(s.decode)}, {"other", figures_json(s.other)}};
  if (!s.idle_ns.empty()) {
    out["gpu_idle_us"] = json::object{{"p50", us(percentile_of(s.idle_ns, 50))},
                                      {"p99", us(percentile_of(s.idle_ns, 99))},
                                      {"max", us(s.idle_ns.back())},
                                      {"count", s.idle_ns.size()}};
  }
  json::object periods;
  for (const auto& [num_seqs, values] : s.period_ns) {
    periods[std::to_string(num_seqs)] = json::object{
        {"p50_us", us(percentile_of(values, 50))}, {"p99_us", us(percentile_of(values, 99))}, {"count", values.size()}};
  }
  out["decode_step_by_sequences"] = std::move(periods);
  json::object phases;
  for (const Summary::HostPhase& p : s.phases) {
    phases[p.name] = json::object{{"count", p.count}, {"total_us", us(p.total_ns)}, {"longest_us", us(p.longest_ns)}};
  }
  out["host_phases"] = std::move(phases);
  return out;
}

}  // namespace vllm::profile

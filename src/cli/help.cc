#include "cli/help.h"

#include <algorithm>
#include <cctype>

#include "cli/parser.h"

namespace vllm::cli {
namespace {

constexpr size_t kWidth = 100, kColumn = 34;

std::string_view type_name(FlagType type) {
  switch (type) {
    case FlagType::kBool: return "";
    case FlagType::kInt: return "N";
    case FlagType::kHumanInt: return "N[k|K|m|M|g|G]";
    case FlagType::kFloat: return "X";
    case FlagType::kString: return "TEXT";
    case FlagType::kList: return "ITEM ...";
    case FlagType::kJson: return "JSON";
  }
  return "";
}

std::string wrap(std::string_view text, size_t column) {
  std::string out;
  size_t used = 0;
  while (!text.empty()) {
    size_t end = std::min(text.find(' '), text.size());
    if (used && used + 1 + end > kWidth - column) {
      out += "\n" + std::string(column, ' ');
      used = 0;
    } else if (used) {
      out += ' ', ++used;
    }
    out += text.substr(0, end);
    used += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string row(const Flag& flag) {
  std::string left = "  --";
  if (flag.type == FlagType::kBool && flag.default_text == "true") left += "[no-]";
  left += flag.name;
  if (!flag.short_name.empty()) left += ", -" + std::string(flag.short_name);
  if (!flag.choices.empty() && flag.type == FlagType::kString) {
    left += " {" + std::string(flag.choices) + "}";
  } else if (auto type = type_name(flag.type); !type.empty()) {
    left += " " + std::string(type);
  }
  std::string text(flag.help);
  if (flag.effect == Effect::kWarn) text = "Accepted with a warning: no effect in this version.";
  if (flag.effect == Effect::kRefuse) text = "Not built yet: refused unless it has its default value.";
  if (!flag.default_text.empty()) text += " (default: " + std::string(flag.default_text) + ")";
  std::string gap =
      left.size() + 2 > kColumn ? "\n" + std::string(kColumn, ' ') : std::string(kColumn - left.size(), ' ');
  return left + gap + wrap(text, kColumn) + "\n";
}

std::string group_text(const FlagGroup& group) {
  std::string out = "\n" + std::string(group.title) + ": " + std::string(group.help) + "\n";
  for (const Flag& flag : group.flags) out += row(flag);
  return out;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

// --max_model_len as max-model-len.
std::string flag_name(std::string_view topic) {
  std::string name(topic.substr(std::min(topic.find_first_not_of('-'), topic.size())));
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

const HelpPage& serve_page() {
  static constexpr std::string_view kMostUsed[] = {"host",   "port",          "api-key",      "served-model-name",
                                                   "dtype",  "max-model-len", "max-num-seqs", "chat-template",
                                                   "device", "config"};
  static const HelpPage page{
      .flags = serve_flags(),
      .usage = "vllm serve [MODEL] [FLAGS]",
      .about =
          "Serve MODEL (a hub id such as Qwen/Qwen3-0.6B, a folder, or a .gguf file) over an OpenAI-compatible HTTP "
          "API.",
      .most_used = kMostUsed,
      .notes =
          "Environment: HF_TOKEN, HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, VLLM_API_KEY, VLLM_CPU_KVCACHE_SPACE "
          "(GiB), VLLM_LOGGING_LEVEL, TZ"};
  return page;
}

}  // namespace

bool has_help_topic(const HelpPage& page, std::string_view topic) {
  auto groups = page.flags.groups();
  return topic.empty() || topic == "short" || topic == "all" || page.flags.find(flag_name(topic)) ||
         std::any_of(groups.begin(), groups.end(),
                     [&](const FlagGroup& group) { return same_word(group.title, topic); });
}

std::string program_help() {
  return "usage: vllm COMMAND [ARGUMENTS]\n\n"
         "  serve [MODEL] [FLAGS]   serve a model over an OpenAI-compatible HTTP API\n"
         "  health [URL]            is the server that runs here up? for health checks\n"
         "  bench serve [FLAGS]     load a running server and report throughput and latencies\n"
         "  bench latency | throughput | startup [FLAGS]\n"
         "                          measure the engine in this process, or the start of a server\n"
         "  --version               print the version\n\n"
         "Try `vllm serve --help` or `vllm bench serve --help`.\n";
}

std::string help_text(const HelpPage& page, std::string_view topic) {
  std::string out = "usage: " + std::string(page.usage) + "\n\n" + wrap(page.about, 0) + "\n";
  if (topic == "short" || topic.empty()) {
    out += "\nFlags that are used most:\n";
    for (std::string_view name : page.most_used) out += row(*page.flags.find(name));
    if (!page.notes.empty()) out += "\n" + wrap(page.notes, 0) + "\n";
    out += "\n";
    std::string titles;
    for (const FlagGroup& group : page.flags.groups()) {
      if (titles.find(group.title) == std::string::npos)
        titles += (titles.empty() ? "" : ", ") + std::string(group.title);
    }
    return out + wrap("More: --help=all, --help=GROUP, --help=FLAG. Groups: " + titles, 0) + "\n";
  }
  if (topic == "all") {
    for (const FlagGroup& group : page.flags.groups()) out += group_text(group);
    return out;
  }
  std::string groups;
  for (const FlagGroup& group : page.flags.groups()) {
    if (same_word(group.title, topic)) groups += group_text(group);
  }
  if (!groups.empty()) return out + groups;
  std::string name = flag_name(topic);
  if (const Flag* flag = page.flags.find(name)) return out + "\n" + row(*flag);
  out += "\nNo group or flag is named '" + std::string(topic) + "'.";
  for (const std::string& near : nearest_flags(name, page.flags)) out += " --" + near + "?";
  return out + "\n";
}

bool is_help_topic(std::string_view topic) { return has_help_topic(serve_page(), topic); }
std::string serve_help(std::string_view topic) { return help_text(serve_page(), topic); }

}  // namespace vllm::cli

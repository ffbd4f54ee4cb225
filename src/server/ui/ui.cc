#include "server/ui/ui.h"

namespace vllm::server {

// In the generated ui_files.cc.
extern const std::string_view kEmbedded_index_html, kEmbedded_app_js, kEmbedded_style_css;

const UiFile* find_ui_file(std::string_view path) {
  static const UiFile files[] = {
      {"/", "text/html; charset=utf-8", kEmbedded_index_html},
      {"/ui/app.js", "text/javascript; charset=utf-8", kEmbedded_app_js},
      {"/ui/style.css", "text/css; charset=utf-8", kEmbedded_style_css},
  };
  for (const UiFile& file : files) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

}  // namespace vllm::server

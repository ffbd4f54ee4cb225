# Turn files into a C++ source that holds them as bytes:
#   cmake -DOUT=x.cc -DNAMESPACE=vllm::server -DFILES=index.html,app.js -DDIR=... -P embed.cmake
# Each file becomes `extern const std::string_view kEmbedded_<name with _ for other characters>`.
set(text "// Generated from files by cmake/embed.cmake.\n#include <string_view>\nnamespace ${NAMESPACE} {\n")
string(REPLACE "," ";" files "${FILES}")
foreach(file ${files})
  file(READ "${DIR}/${file}" hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(........................................)" "\\1\n" hex "${hex}")  # 20 bytes a line
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
  string(MAKE_C_IDENTIFIER "${file}" name)
  string(APPEND text "static const char bytes_${name}[] = {\n${bytes}'\\0'};\n"
    "extern const std::string_view kEmbedded_${name};\n"
    "const std::string_view kEmbedded_${name}(bytes_${name}, ${size});\n")
endforeach()
string(APPEND text "}\n")
file(WRITE "${OUT}" "${text}")

#!/bin/sh
# lint.sh: hadolint, shellcheck, yamllint and `docker compose config` over everything under deploy/, and the version labels. Seconds.
set -eu
cd "$(dirname "$0")/../.."
venv=build/deploy-venv
if ! cmp -s deploy/test/requirements.txt "$venv/requirements.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --no-cache-dir --require-hashes -r deploy/test/requirements.txt
  cp deploy/test/requirements.txt "$venv/"
fi
bin=$PWD/$venv/bin
"$bin/hadolint" Dockerfile
git ls-files 'deploy/*.sh' | xargs shellcheck run deploy/image/rootfs/usr/local/bin/python3 deploy/image/rootfs/usr/local/bin/uv
(cd deploy/compose && "$bin/yamllint" -s .)
cd deploy/compose
for files in '' 'compose.yaml compose.gpu.yaml' 'compose.yaml compose.nginx.yaml' 'compose.yaml compose.webui.yaml' \
             'compose.yaml compose.gpu.yaml compose.nginx.yaml compose.webui.yaml'; do
  set --
  for file in $files; do set -- "$@" -f "$file"; done
  for env in /dev/null .env.example; do "$bin/docker-compose" --env-file "$env" "$@" config -q; done
done
cd ../..
for guide in deploy/test/guides/compose*.yaml; do "$bin/docker-compose" -f "$guide" --env-file /dev/null config -q; done
version=$(sed -n 's/^set(VLLM_API_VERSION \([0-9.]*\)).*/\1/p' CMakeLists.txt)-cpp.$(sed -n 's/^project(vllm VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
grep -q "image.version=\"$version\"" Dockerfile || { echo "lint.sh: the Dockerfile's version label is not $version" >&2; exit 1; }
# Every text that the documentation tells people to look for stands in the sources (where long ones are folded: compared without quotes and line breaks).
sources=$(mktemp)
git ls-files 'src/*.cc' | grep -v _test | xargs cat | tr '\n' ' ' | sed 's/" *"//g' > "$sources"
# shellcheck disable=SC2016
sed -n '/^| the log says/,/^$/s/^| `\([^`]*\)` |.*/\1/p' docs/deployment.md | while read -r text; do
  grep -qF -e "$text" "$sources" || { echo "lint.sh: docs/deployment.md: no source has the text: $text" >&2; exit 1; }
done
rm "$sources"
echo "lint.sh: clean"

# shellcheck shell=bash
# Tekton, from the configuration in its own module, without its remote resolvers: they fetch tasks from elsewhere,
# and from this cluster nothing elsewhere can be reached.

install_tekton() {
  local source version
  source=$(cd "$here/modules/tekton" && go list -m -f '{{.Dir}}' github.com/tektoncd/pipeline)
  version=${source##*@}
  # set-security-context lets Tekton's own containers into namespaces with PodSecurity "restricted".
  find "$source/config" -name '*.yaml' -not -path '*/resolvers/*' | LC_ALL=C sort | while read -r file; do
    echo ---
    cat "$file"
    echo
  done | sed -E \
    -e "s#ko://github.com/tektoncd/pipeline/cmd/([a-z]+)#$image_prefix/tekton-\1:dev#" \
    -e "s#cgr.dev/chainguard/busybox@sha256:[0-9a-f]+#$image_prefix/busybox:dev#" \
    -e 's#(set-security-context): "false"#\1: "true"#' \
    -e "s#: \"?devel\"?\$#: $version#" >"$dir/etc/tekton.yaml"
  if grep -q 'ko://' "$dir/etc/tekton.yaml"; then
    fail tekton "an image of Tekton has no local one: $(grep -m1 'ko://' "$dir/etc/tekton.yaml")"
  fi
  await tekton 30 "Tekton's objects to be created" apply_tekton
}

# The API server needs a moment until a new CustomResourceDefinition is served.
apply_tekton() {
  kubectl apply --server-side --force-conflicts -f "$dir/etc/tekton.yaml" >"$dir/log/tekton" 2>&1
}

await_tekton() {
  kubectl wait --namespace tekton-pipelines --for=condition=Available deployment --all --timeout=120s \
    >"$dir/log/tekton" 2>&1 || {
    kubectl get pods,events --namespace tekton-pipelines >>"$dir/log/tekton" 2>&1 || true
    fail tekton "Tekton's programs did not start"
  }
  await tekton 60 "Tekton's webhook to refuse a wrong PipelineRun" webhook_refuses
}

# A wrong PipelineRun is refused by the webhook, and by nobody else: then it is there.
webhook_refuses() {
  local answer
  answer=$(kubectl create --dry-run=server -f - 2>&1 <<'EOF' || true
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: wrong, namespace: default}
spec:
  pipelineSpec:
    tasks:
    - name: a
      runAfter: [nobody]
      taskSpec: {steps: [{name: a, image: a, script: "true"}]}
EOF
  )
  echo "$answer" >>"$dir/log/tekton"
  [[ $answer = *"denied the request"* ]]
}

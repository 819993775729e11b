class Sentry < Formula
  desc "Turn pushes into Tekton PipelineRuns, without webhooks"
  homepage {{ json .Source }}
  version {{ json .Plain }}
  license "Apache-2.0"
{{- range $os := list "darwin" "linux" }}
{{- with of $os }}

  on_{{ if eq $os "darwin" }}macos{{ else }}linux{{ end }} do
{{- range . }}
    on_{{ if eq .Arch "arm64" }}arm{{ else }}intel{{ end }} do
      url {{ json .URL }}
      sha256 "{{ .SHA256 }}"
    end
{{- end }}
  end
{{- end }}
{{- end }}

  def install
    bin.install "sentry"
    # As plugins: `kubectl sentry` and `tkn sentry`.
    %w[kubectl-sentry kubectl_complete-sentry tkn-sentry].each { |name| bin.install_symlink "sentry" => name }
    man1.install Dir["man/man1/*.1"]
    bash_completion.install "completions/bash/sentry"
    zsh_completion.install "completions/zsh/_sentry"
    fish_completion.install "completions/fish/sentry.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/sentry version")
  end
end

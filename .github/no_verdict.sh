# Sourced by the scripts of action.yml: how a job says that it has no verdict.
no_verdict() { # LEVEL MESSAGE
  echo "::$1 title=pushbench gate::$2"
  if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    printf '### pushbench gate\n\n**No verdict: %s**\n' "$2" >> "$GITHUB_STEP_SUMMARY"
  fi
}

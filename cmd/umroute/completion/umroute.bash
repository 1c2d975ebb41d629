# Completion of umroute for bash: source <(umroute completion bash)
_umroute() {
	local word IFS=$'\n'
	COMPREPLY=()
	for word in $("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null); do
		COMPREPLY+=("${word%%$'\t'*}")
	done
}
complete -o bashdefault -o default -F _umroute umroute

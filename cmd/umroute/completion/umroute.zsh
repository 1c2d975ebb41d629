#compdef umroute
# Completion of umroute for zsh: source <(umroute completion zsh)
_umroute() {
	local line
	local -a found
	for line in "${(@f)$("${words[1]}" complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
		[[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
	done
	if (( ${#found} )); then
		_describe umroute found
	else
		_files
	fi
}
compdef _umroute umroute

# Completion of umroute for fish: umroute completion fish | source
function __umroute_complete
	set -l words (commandline --tokenize --cut-at-cursor --current-process)
	set -l partial (commandline --current-token --cut-at-cursor)
	$words[1] complete $words[2..] "$partial" 2>/dev/null
end
complete --command umroute --arguments '(__umroute_complete)'

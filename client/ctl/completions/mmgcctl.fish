# SPDX-License-Identifier: Apache-2.0
# fish completion for mmgcctl: mmgcctl itself says what may come next.
function __mmgcctl_complete
    set -l words (commandline --cut-at-cursor --current-process --tokenize)
    for line in ($words[1] complete $words[2..-1] (commandline --current-token --cut-at-cursor) 2>/dev/null)
        if test "$line" = @files
            __fish_complete_path (commandline --current-token --cut-at-cursor)
        else
            printf '%s\n' $line
        end
    end
end
complete --command mmgcctl --no-files --arguments '(__mmgcctl_complete)'

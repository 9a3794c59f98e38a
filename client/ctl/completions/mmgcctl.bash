# SPDX-License-Identifier: Apache-2.0
# bash completion for mmgcctl: mmgcctl itself says what may come next.
_mmgcctl()
{
    local cur prev words cword line
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n =: cur prev words cword
    else
        cur=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == @files ]]; then
            compopt -o filenames
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "${cur#*=}")
            continue
        fi
        line=${line%%$'\t'*}
        [[ $line != *= ]] || compopt -o nospace
        COMPREPLY+=("$(printf '%q' "$line")")
    done < <("${words[0]}" complete "${words[@]:1:cword}" 2>/dev/null)
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
    # What stands before "=" is a word of its own to readline.
    if [[ $cur == --*=* && $COMP_WORDBREAKS == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%%=*}"=}")
    fi
}
complete -F _mmgcctl mmgcctl

import { defineCommand } from "../../grammar/command.ts";
import { out } from "../../output/streams.ts";
import { oneOf } from "../../values/simple.ts";

/** Each script asks `msb __complete` for lines of a candidate, a tab and its description. */
const scripts = {
  bash: String.raw`_msb() {
    local candidate
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        COMPREPLY+=("$candidate")
    done < <(msb __complete --word="\${COMP_WORDS[COMP_CWORD]}" -- "\${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)
    if [[ \${#COMPREPLY[@]} == 1 && "\${COMPREPLY[0]}" == *[:/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _msb msb microsandbox
`,
  zsh: String.raw`#compdef msb microsandbox
_msb() {
    local -a candidates beginnings
    local candidate description
    while IFS=$'\t' read -r candidate description; do
        if [[ "$candidate" == *[:/] ]]; then
            beginnings+=("\${candidate//:/\\:}")
        else
            candidates+=("\${candidate//:/\\:}\${description:+:$description}")
        fi
    done < <(msb __complete --word="\${words[CURRENT]}" -- "\${(@)words[2,CURRENT-1]}" 2>/dev/null)
    if (( \${#candidates} + \${#beginnings} )); then
        _describe -t msb msb candidates -- beginnings -S ''
    else
        _files
    fi
}
if [[ "\${funcstack[1]}" == _msb ]]; then
    _msb "$@"
else
    compdef _msb msb microsandbox
fi
`,
  fish: String.raw`function __msb_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -e words[1]
    msb __complete --word="$current" -- $words 2>/dev/null
end
complete -c msb -f -a '(__msb_complete)'
complete -c microsandbox -f -a '(__msb_complete)'
`,
  elvish: String.raw`use str
fn msb-complete {|@words|
    var before = $words[1..-1]
    msb __complete --word=$words[-1] -- $@before 2>/dev/null | from-lines | each {|line|
        var candidate description = (str:split &max=2 "\t" $line)
        edit:complex-candidate $candidate &display=$candidate'  '$description
    }
}
set edit:completion:arg-completer[msb] = $msb-complete~
set edit:completion:arg-completer[microsandbox] = $msb-complete~
`,
  powershell: String.raw`Register-ArgumentCompleter -Native -CommandName msb, microsandbox -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $before = @($commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
    & msb __complete "--word=$wordToComplete" -- @before 2>$null | ForEach-Object {
        $candidate, $description = $_ -split "\`t", 2
        if (-not $description) { $description = $candidate }
        [System.Management.Automation.CompletionResult]::new($candidate, $candidate, 'ParameterValue', $description)
    }
}
`,
} as const;

const shells = Object.keys(scripts) as (keyof typeof scripts)[];

/** The script that teaches a shell to complete `msb`. */
export function completionScript(shell: keyof typeof scripts): string {
  // String.raw keeps the backslash that keeps "${" and "`" from ending the template.
  return scripts[shell].replaceAll("\\${", "${").replaceAll("\\`", "`");
}

export const completion = defineCommand({
  name: "completion",
  summary: "Print the script that lets a shell complete msb's commands, options and sandbox names",
  details: `Load it in the shell's start-up file:

  bash        source <(msb completion bash)
  zsh         source <(msb completion zsh)
  fish        msb completion fish | source
  elvish      eval (msb completion elvish | slurp)
  powershell  msb completion powershell | Out-String | Invoke-Expression`,
  operands: [{ name: "SHELL", required: true, completes: shells }],
  options: {},
  run: ({ operands: [shell = ""] }) => {
    out(completionScript(oneOf(shells)(shell)));
    return Promise.resolve(0);
  },
});

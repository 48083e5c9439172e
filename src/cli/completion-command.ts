import { Argument, type Command, type Option } from 'commander';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** The words and options that can follow a command. `at` is the command's path, each part with a leading space. */
type Completions = { at: string; words: string[]; options: { flag: string; values: string[] }[] };

/** `completion`: generated from the commands of the program. */
export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('print a completion script: eval it, or save it where your shell loads completions from')
    .addArgument(new Argument('<shell>').choices(shells))
    .action((shell: Shell) => console.log(scriptFor(shell, completionsOf(program, ''))));
}

function completionsOf(command: Command, at: string): Completions[] {
  const { commands, options } = command;
  const shown = options.filter(({ hidden }) => !hidden);
  const words = [...commands.map((child) => child.name()), ...shown.map(flagOf), '--help'];
  const withValue = shown.filter(({ required, optional }) => required || optional);
  return [
    {
      at,
      words,
      options: withValue.map((option) => ({ flag: flagOf(option), values: option.argChoices ?? [] })),
    },
    ...commands.flatMap((child) => completionsOf(child, `${at} ${child.name()}`)),
  ];
}

const flagOf = ({ long, short, flags }: Option): string => long ?? short ?? flags;

/** Commands, options and values contain no quotes. */
const quote = (text: string): string => `'${text}'`;

const pathsOf = (completions: Completions[]): string[] => completions.slice(1).map(({ at }) => quote(at));

function scriptFor(shell: Shell, completions: Completions[]): string {
  switch (shell) {
    case 'bash':
      return `${wordsFunction(completions)}
_fltr_webhooks() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(_fltr_webhooks_words "\${COMP_WORDS[@]:1:COMP_CWORD-1}")" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _fltr_webhooks fltr-webhooks`;
    case 'zsh':
      return `#compdef fltr-webhooks
${wordsFunction(completions)}
_fltr_webhooks() {
  local -a found
  found=(\${(f)"$(_fltr_webhooks_words "\${(@)words[2,CURRENT-1]}")"})
  if (( $#found )); then compadd -a found; else _files; fi
}
compdef _fltr_webhooks fltr-webhooks`;
    case 'fish':
      return `function __fltr_webhooks_words
  set -l at ''
  set -l previous ''
  for word in (commandline -opc)[2..-1]
    switch "$at $word"
      case ${pathsOf(completions).join(' ')}
        set at "$at $word"
    end
    set previous $word
  end
  switch "$at $previous"
${choices(completions)
  .map(({ when, words }) => `    case ${when.map(quote).join(' ')}\n      ${printf(words)} return`)
  .join('\n')}
  end
  switch "$at"
${completions.map(({ at, words }) => `    case ${quote(at)}\n      ${printf(words)}`).join('\n')}
  end
end
complete -c fltr-webhooks -a '(__fltr_webhooks_words)'`;
  }
}

/** For bash and zsh: prints the words that can follow. (`path` and `words` are reserved in zsh.) */
const wordsFunction = (completions: Completions[]): string => `_fltr_webhooks_words() {
  local at='' previous='' word
  for word in "$@"; do
    case "$at $word" in
      ${pathsOf(completions).join('|')}) at="$at $word" ;;
    esac
    previous=$word
  done
  case "$at $previous" in
${choices(completions)
  .map(({ when, words }) => `    ${when.map(quote).join('|')}) ${printf(words)} return ;;`)
  .join('\n')}
  esac
  case "$at" in
${completions.map(({ at, words }) => `    ${quote(at)}) ${printf(words)} ;;`).join('\n')}
  esac
}`;

/** The values of options. Options with a free value come last, as one entry without words. */
function choices(completions: Completions[]): { when: string[]; words: string[] }[] {
  const all = completions.flatMap(({ at, options }) =>
    options.map(({ flag, values }) => ({ when: [`${at} ${flag}`], words: values })),
  );
  const free = all.filter(({ words }) => words.length === 0);
  return [
    ...all.filter(({ words }) => words.length > 0),
    { when: free.flatMap(({ when }) => when), words: [] },
  ];
}

const printf = (words: string[]): string =>
  words.length === 0 ? '' : `printf '%s\\n' ${words.map(quote).join(' ')};`;

import { Argument, type Command, type Option } from 'commander';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** What may come after a command: `at` is its path, each part with a space before it. */
type Place = { at: string; words: string[]; options: { flag: string; values: string[] }[] };

/** `completion`: a script that completes commands and options, made from the commands as they are. */
export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description(
      'print a script that completes commands and options: eval it, or keep it where your shell looks',
    )
    .addArgument(new Argument('<shell>').choices(shells))
    .action((shell: Shell) => console.log(scriptFor(shell, placesOf(program, ''))));
}

function placesOf(command: Command, at: string): Place[] {
  const { commands, options } = command;
  const shown = options.filter(({ hidden }) => !hidden);
  const words = [...commands.map((child) => child.name()), ...shown.map(flagOf), '--help'];
  const taking = shown.filter(({ required, optional }) => required || optional);
  return [
    {
      at,
      words,
      options: taking.map((option) => ({ flag: flagOf(option), values: option.argChoices ?? [] })),
    },
    ...commands.flatMap((child) => placesOf(child, `${at} ${child.name()}`)),
  ];
}

const flagOf = ({ long, short, flags }: Option): string => long ?? short ?? flags;

/** Names and values have no quote in them: they are the program's own. */
const quote = (text: string): string => `'${text}'`;

const pathsOf = (places: Place[]): string[] => places.slice(1).map(({ at }) => quote(at));

function scriptFor(shell: Shell, places: Place[]): string {
  switch (shell) {
    case 'bash':
      return `${wordsFunction(places)}
_fltr_webhooks() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(_fltr_webhooks_words "\${COMP_WORDS[@]:1:COMP_CWORD-1}")" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _fltr_webhooks fltr-webhooks`;
    case 'zsh':
      return `#compdef fltr-webhooks
${wordsFunction(places)}
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
      case ${pathsOf(places).join(' ')}
        set at "$at $word"
    end
    set previous $word
  end
  switch "$at $previous"
${choices(places)
  .map(({ when, words }) => `    case ${when.map(quote).join(' ')}\n      ${printf(words)} return`)
  .join('\n')}
  end
  switch "$at"
${places.map(({ at, words }) => `    case ${quote(at)}\n      ${printf(words)}`).join('\n')}
  end
end
complete -c fltr-webhooks -a '(__fltr_webhooks_words)'`;
  }
}

/** For bash and zsh alike: the words that may follow those that are given. (`path` and `words` are zsh's own.) */
const wordsFunction = (places: Place[]): string => `_fltr_webhooks_words() {
  local at='' previous='' word
  for word in "$@"; do
    case "$at $word" in
      ${pathsOf(places).join('|')}) at="$at $word" ;;
    esac
    previous=$word
  done
  case "$at $previous" in
${choices(places)
  .map(({ when, words }) => `    ${when.map(quote).join('|')}) ${printf(words)} return ;;`)
  .join('\n')}
  esac
  case "$at" in
${places.map(({ at, words }) => `    ${quote(at)}) ${printf(words)} ;;`).join('\n')}
  esac
}`;

/** What may follow an option that takes a value; those whose value is free come last, as one. */
function choices(places: Place[]): { when: string[]; words: string[] }[] {
  const all = places.flatMap(({ at, options }) =>
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

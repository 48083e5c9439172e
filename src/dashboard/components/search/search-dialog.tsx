import { Dialog } from '@base-ui/react/dialog';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useEffect, useId, useState, type KeyboardEvent } from 'react';
import type { Found } from '../../../contracts/search.ts';
import { searchQuery } from '../../queries.ts';
import { Problem } from '../problem-notice.tsx';
import { At } from '../time.tsx';
import { bestOf, countText, groupsOf, type Result } from './search-results.ts';

const debounceMs = 150;
const maxLength = 2048;

/** The text, once it has not changed for a moment. */
function useDebounced(text: string): string {
  const [debounced, setDebounced] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setDebounced(text), debounceMs);
    return () => clearTimeout(timer);
  }, [text]);
  return debounced;
}

/** The field and its results; Enter and a click open one. */
export function SearchDialog({ onOpen }: { onOpen: () => void }) {
  const [input, setInput] = useState('');
  const text = input.trim();
  const debounced = useDebounced(text);
  const { data, error, isPlaceholderData } = useQuery(searchQuery(debounced));
  const found = text === '' ? undefined : data;
  const isCurrent = debounced === text && !isPlaceholderData;
  const { chosen, choose, move } = useChoice(found);
  const open = useOpenResult(onOpen);
  const listId = useId();
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      move(event.key === 'ArrowDown' ? 1 : -1);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      if (isCurrent && chosen) open.result(chosen);
      else void open.best(text);
    }
  };
  return (
    <>
      <Dialog.Title className="visually-hidden">Search</Dialog.Title>
      <input
        role="combobox"
        enterKeyHint="search"
        aria-label="Search"
        aria-expanded={found !== undefined && found.length > 0}
        aria-controls={listId}
        aria-activedescendant={chosen ? optionId(listId, chosen) : undefined}
        aria-autocomplete="list"
        placeholder="ID or webhook URL"
        autoComplete="off"
        spellCheck={false}
        maxLength={maxLength}
        value={input}
        onChange={({ target }) => setInput(target.value)}
        onKeyDown={onKeyDown}
      />
      <Problem error={text === '' ? null : error} />
      <div
        id={listId}
        role="listbox"
        aria-label="Results"
        aria-busy={text !== '' && !isCurrent && error === null}
        className="search-results"
      >
        {groupsOf(found ?? []).map(({ name, results }) => (
          <div key={name} role="group" aria-label={name}>
            <div className="search-group-name" aria-hidden>
              {name}
            </div>
            {results.map((result) => (
              <Option
                key={result.key}
                id={optionId(listId, result)}
                result={result}
                isChosen={result.key === chosen?.key}
                onChoose={() => choose(result)}
                onOpen={onOpen}
              />
            ))}
          </div>
        ))}
      </div>
      <SearchStatus text={text} found={isCurrent ? found : undefined} hasFailed={error !== null} />
    </>
  );
}

const optionId = (listId: string, { key }: Result): string => `${listId}-${key.replace(' ', '-')}`;

/** The result that Enter opens: at first the best one. */
function useChoice(found: readonly Found[] | undefined) {
  const results = groupsOf(found ?? []).flatMap((group) => group.results);
  const [chosenKey, setKey] = useState<string | null>(null);
  const index = Math.max(
    results.findIndex(({ key }) => key === chosenKey),
    0,
  );
  return {
    chosen: results[index],
    choose: ({ key }: Result) => setKey(key),
    move: (by: 1 | -1) => setKey(results.at((index + by) % results.length)?.key ?? null),
  };
}

function useOpenResult(onOpen: () => void) {
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const openResult = ({ path, hash }: Result): void => {
    onOpen();
    void navigate({ to: path, ...(hash === undefined ? {} : { hash }) });
  };
  return {
    result: openResult,
    /** Searches at once; without a clear result the list shows the results. */
    async best(text: string): Promise<void> {
      if (text === '') return;
      const found = await queryClient.fetchQuery(searchQuery(text)).catch(() => []);
      const best = bestOf(found, text);
      if (best) openResult(best);
    },
  };
}

type OptionProps = {
  id: string;
  result: Result;
  isChosen: boolean;
  onChoose: () => void;
  onOpen: () => void;
};

function Option({ id, result, isChosen, onChoose, onOpen }: OptionProps) {
  useEffect(() => {
    if (isChosen) document.getElementById(id)?.scrollIntoView({ block: 'nearest' });
  }, [id, isChosen]);
  return (
    <Link
      to={result.path}
      {...(result.hash === undefined ? {} : { hash: result.hash })}
      id={id}
      role="option"
      aria-selected={isChosen}
      tabIndex={-1}
      preload={false}
      className="search-option"
      onMouseMove={onChoose}
      onClick={({ metaKey, ctrlKey, shiftKey }) => {
        if (!metaKey && !ctrlKey && !shiftKey) onOpen();
      }}
    >
      <span className="search-option-title">{result.title}</span>
      <span className="search-option-details">
        {result.details}
        {result.at !== null && (
          <>
            {' · '}
            <At at={result.at} />
          </>
        )}
      </span>
    </Link>
  );
}

type StatusProps = { text: string; found: readonly Found[] | undefined; hasFailed: boolean };

function SearchStatus({ text, found, hasFailed }: StatusProps) {
  const isEmpty = found?.length === 0;
  return (
    <div className="search-status hint">
      <output>{text !== '' && !hasFailed && found ? countText(found.length) : ''}</output>
      {(text === '' || isEmpty) && (
        <p>
          Search by the ID of an event, delivery, attempt, webhook, operation or request, by an ID in the data
          of events, or by the URL of a webhook. {isEmpty && 'An ID must be complete.'}
        </p>
      )}
    </div>
  );
}

import { useId, type ReactNode } from 'react';

type Props = {
  number: number;
  title: string;
  isDone: boolean;
  /** It can be done now: the steps that it needs are done. */
  isOpen: boolean;
  children: ReactNode;
};

/** A step of the checklist. Its form is shown once the step is possible. */
export function Step({ number, title, isDone, isOpen, children }: Props) {
  const id = useId();
  return (
    <li className="step" aria-labelledby={id}>
      <span className={isDone ? 'step-mark step-done' : 'step-mark'} aria-hidden>
        {isDone ? '✓' : number}
      </span>
      <div className="step-content">
        <h3 id={id}>
          {title} <span className="visually-hidden">({isDone ? 'done' : 'not done'})</span>
        </h3>
        {isOpen && children}
      </div>
    </li>
  );
}

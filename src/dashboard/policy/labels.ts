/** The labels of an event as they are typed. @example labelsIn('eu, paid') // ['eu', 'paid'] */
export const labelsIn = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

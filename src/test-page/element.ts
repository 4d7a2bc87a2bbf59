// Makes elements; text is always text, whoever wrote it.

type Attributes = Readonly<Record<string, string | number>>;
type Child = Element | string | null;

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

export function draw(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  fill(element, attributes, children);
  return element;
}

function fill(element: Element, attributes: Attributes, children: Child[]): void {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children.filter((child) => child !== null));
}

/** @throws TypeError where the page has none: page and script are of one build */
export function find(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new TypeError(`no element ${id}`);
  return element;
}

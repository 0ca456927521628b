// The elements that the page's modules look for, and that are in the markup: `web/index.html`, or what a module writes.
// The type check takes only these selectors for certain to match; with any other, misspelled ones too, the result may
// be null.

interface ParentNode {
  querySelector(selectors: "main" | "fieldset" | ".now" | ".note" | "#status"): HTMLElement;
  querySelector(selectors: ".light" | ".name" | ".digits" | ".unit" | ".doing" | ".track" | ".fill" | ".glow"): HTMLElement;
  querySelector(selectors: ".chips" | ".sleep" | ".days" | ".which" | ".said" | ".here"): HTMLElement;
  querySelector(selectors: ".effects" | ".presets" | ".timers" | ".activity" | "header" | "ul" | "output"): HTMLElement;
  querySelector(selectors: "#light" | "#sheet"): HTMLTemplateElement;
  querySelector(selectors: "#opener" | "#back" | ".lamp" | ".more" | ".less" | ".close" | ".waker"): HTMLButtonElement;
  querySelector(selectors: "button"): HTMLButtonElement;
  querySelector(selectors: "input" | "#speed" | ".me" | "[name=at]" | "[name=minutes]"): HTMLInputElement;
  querySelector(selectors: "form" | ".wake"): HTMLFormElement;
  querySelector(selectors: "fieldset"): HTMLFieldSetElement;
  querySelector(selectors: "select"): HTMLSelectElement;
  querySelector(selectors: "dialog"): HTMLDialogElement;
  querySelector(selectors: ".lamp svg" | ".lit"): SVGElement;
  querySelectorAll(selectors: "input:checked"): NodeListOf<HTMLInputElement>;
  querySelectorAll(selectors: ".name"): NodeListOf<HTMLElement>;
  querySelectorAll(selectors: `[data-${string}]`): NodeListOf<HTMLElement>;
}

interface FocusOptions {
  /** Known to Firefox and Safari; others ignore it. */
  focusVisible?: boolean;
}

// The elements that the page's modules look for, and that are in the markup: `web/index.html`, or what a module writes.
// The type check takes only these selectors for certain to match; with any other, misspelled ones too, the result may
// be null.

interface ParentNode {
  querySelector(selectors: "main" | "fieldset" | ".now" | ".note" | "#status"): HTMLElement;
  querySelector(selectors: ".light" | ".name" | ".digits" | ".unit" | ".doing" | ".track" | ".slide" | ".glow"): HTMLElement;
  querySelector(selectors: ".chips" | ".sleep" | ".days" | ".which" | ".said" | ".here" | "#bar" | "#toast" | ".run" | ".running" | ".recall"): HTMLElement;
  querySelector(selectors: ".effects" | ".presets" | ".timers" | ".activity" | ".settings" | ".matter" | ".service" | ".head" | "footer" | "ul" | "output"): HTMLElement;
  querySelector(selectors: "#light"): HTMLTemplateElement;
  querySelector(selectors: "#opener" | "#back" | ".lamp" | ".more" | ".less" | ".close" | "#show" | ".handle" | ".waker" | ".restore" | ".out"): HTMLButtonElement;
  querySelector(selectors: "button"): HTMLButtonElement;
  querySelector(selectors: "input" | "#speed" | "#password" | ".me" | "[name=level]" | "[name=at]" | "[name=offset]" | "[name=after]" | "[name=minutes]"): HTMLInputElement;
  querySelector(selectors: "form" | ".wake"): HTMLFormElement;
  querySelector(selectors: "fieldset"): HTMLFieldSetElement;
  querySelector(selectors: "select" | "[name=what]" | "[name=when]"): HTMLSelectElement;
  querySelector(selectors: "#sheet"): HTMLDialogElement;
  querySelector(selectors: ".lamp svg" | ".lit"): SVGElement;
  querySelectorAll(selectors: "[role=tab]"): NodeListOf<HTMLButtonElement>;
  querySelectorAll(selectors: "input:checked"): NodeListOf<HTMLInputElement>;
  querySelectorAll(selectors: ".name"): NodeListOf<HTMLElement>;
}

interface FocusOptions {
  /** Known to Firefox and Safari; others ignore it. */
  focusVisible?: boolean;
}

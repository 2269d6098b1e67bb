// What is wrong with what somebody typed into a field: said below it, in the colour of errors, to a
// screen reader too, and the field has the focus.
//
//   // hint: named by the field's aria-describedby
//   tellMistake(field, hint, "The relay does not know this key.");
//   tellMistake(field, hint, "");                                     // nothing is wrong any more

/** @param {HTMLElement} field @param {HTMLElement} hint @param {string} text "" for nothing */
export function tellMistake(field, hint, text) {
  hint.textContent = text;
  hint.classList.toggle("wrong", text !== "");
  if (text) {
    field.setAttribute("aria-invalid", "true");
    field.focus();
  } else field.removeAttribute("aria-invalid");
}

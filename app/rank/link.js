// Runs once for the component that holds a ranking's link (element comes from gr.HTML). The link's
// beginning is this page's own address; where the browser gives no clipboard (plain http), the
// link is shown to be copied by hand.
element.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-link]");
  if (!button) return;
  const url = new URL(button.dataset.link, location.origin + location.pathname).href;
  const note = element.querySelector("[role=status]");
  try {
    await navigator.clipboard.writeText(url);
    note.textContent = "Copied. It opens this corpus, query and settings; nothing runs until Run.";
  } catch {
    const field = document.createElement("input");
    field.readOnly = true;
    field.value = url;
    field.setAttribute("aria-label", "Link to this ranking");
    note.replaceChildren("Copy it from here: ", field);
    field.select();
  }
});

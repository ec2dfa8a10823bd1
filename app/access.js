// Runs once for the page. Tells those who do not see it what Gradio shows by a turned arrow alone:
// whether a drawer is open.
() => {
  const tell = () => {
    for (const button of document.querySelectorAll("button.label-wrap")) {
      const open = String(button.classList.contains("open"));
      if (button.getAttribute("aria-expanded") !== open) button.setAttribute("aria-expanded", open);
      button.querySelector(".icon")?.setAttribute("aria-hidden", "true");
    }
  };
  tell();
  new MutationObserver(tell).observe(document.body, {
    childList: true,
    subtree: true,
    attributeFilter: ["class"],
  });
};

// Runs once when the page opens. A file dropped anywhere outside a control goes to the control for
// saved traces, instead of taking the place of the page, which is what a browser would do.
() => {
  const carriesFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const findInput = () => document.querySelector("#trace-drop input[type=file]");

  // The control is not on the page while its drawer is closed, nor while it holds a file.
  async function openDrawer() {
    if (!findInput()) document.querySelector("#share button.label-wrap:not(.open)")?.click();
    for (let frame = 0; !findInput() && frame < 120; frame++) {
      await new Promise(requestAnimationFrame);
    }
    return findInput();
  }

  async function hand(file) {
    const input = await openDrawer();
    if (!input) return;
    const carrier = new DataTransfer();
    carrier.items.add(file);
    input.files = carrier.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  document.addEventListener("dragover", (event) => {
    if (!carriesFile(event)) return;
    document.body.classList.add("file-above");
    event.preventDefault();
  });
  const lower = (event) => {
    if (event.type === "drop" || event.relatedTarget === null) {
      document.body.classList.remove("file-above");
    }
  };
  document.addEventListener("dragleave", lower, true);
  document.addEventListener("drop", lower, true);
  document.addEventListener("drop", (event) => {
    if (!carriesFile(event) || event.defaultPrevented) return;
    event.preventDefault();
    if (event.dataTransfer.files.length) hand(event.dataTransfer.files[0]);
  });
};

// Sets light or dark before the first paint; a classic script, since modules run after it. theme: "light", "dark", or nothing for the system's.
(function () {
  var chosen = null;
  try { chosen = localStorage.getItem("smartflow.theme"); } catch (error) { chosen = null; } // storage may be forbidden: then the system's
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();

(function () {
  var root = document.documentElement, wanted = /theme=(dark|light)/.exec(location.hash);
  try { wanted = wanted ? wanted[1] : localStorage.getItem("netwright-theme"); } catch (error) { wanted = wanted && wanted[1]; }
  if (wanted === "dark" || wanted === "light") root.dataset.theme = wanted;
})();

(function () {
  "use strict";
  var root = document.documentElement;
  var all = function (query, within) { return Array.prototype.slice.call((within || document).querySelectorAll(query)); };

  all("[data-theme-toggle]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      var next = (root.dataset.theme || system) === "dark" ? "light" : "dark";
      root.dataset.theme = next;
      try { localStorage.setItem("netwright-theme", next); } catch (error) { /* a file opened without storage */ }
    });
  });

  all("[data-print]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () { print(); });
  });
  var opened = [];
  addEventListener("beforeprint", function () {
    opened = all("details:not([open])");
    opened.forEach(function (each) { each.open = true; });
  });
  addEventListener("afterprint", function () { opened.forEach(function (each) { each.open = false; }); });

  if (navigator.clipboard) all("[data-copy]").forEach(function (button) {
    var label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(button.parentNode.querySelector("code").textContent.trim()).then(function () {
        button.textContent = button.dataset.done;
        setTimeout(function () { button.textContent = label; }, 1500);
      }, function () {});
    });
  });

  // Values under the pointer, or under the arrow keys when a chart has the focus.
  function place(range, value, log) {
    var f = log ? Math.log10 : function (x) { return x; };
    return 100 * (f(value) - f(range[0])) / (f(range[1]) - f(range[0]));
  }
  function nearest(list, value) {
    var low = 0, high = list.length - 1;
    while (high - low > 1) { var middle = (low + high) >> 1; if (list[middle] < value) low = middle; else high = middle; }
    return Math.abs(list[low] - value) <= Math.abs(list[high] - value) ? low : high;
  }
  function element(name, style, parent) {
    var made = document.createElement(name);
    made.className = style;
    parent.appendChild(made);
    return made;
  }
  all("[data-hover]").forEach(function (plot) {
    var data = JSON.parse(plot.dataset.hover), lines = data.lines.filter(function (line) { return line.x.length; });
    if (!lines.length) return;
    var guide, tip, dots, longest = lines.reduce(function (a, b) { return b.x.length > a.x.length ? b : a; }), at = -1;
    function show(x) {
      if (!guide) {
        guide = element("span", "hair", plot);
        dots = lines.map(function (line) { return element("span", "hover-dot " + line.style, plot); });
        tip = element("div", "tip", plot);
      }
      at = nearest(longest.x, x);
      var left = place(data.x, longest.x[at], false);
      guide.style.left = left + "%";
      tip.textContent = "";
      element("b", "", tip).textContent = longest.x[at].toLocaleString();
      lines.forEach(function (line, index) {
        var i = nearest(line.x, longest.x[at]), y = place(data.y, line.y[i], data.log);
        dots[index].style.left = place(data.x, line.x[i], false) + "%";
        dots[index].style.bottom = y + "%";
        dots[index].hidden = y < 0 || y > 100;
        var row = element("span", line.style, tip);
        element("i", "", row);
        row.appendChild(document.createTextNode(line.name + " "));
        element("strong", "", row).textContent = line.text[i];
      });
      tip.classList.toggle("left", left > 55);
      tip.style.left = left + "%";
      plot.classList.add("live");
    }
    function hide() { plot.classList.remove("live"); }
    plot.addEventListener("pointermove", function (event) {
      var box = plot.getBoundingClientRect();
      show(data.x[0] + (data.x[1] - data.x[0]) * (event.clientX - box.left) / box.width);
    });
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", function (event) {
      var step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      show(longest.x[Math.max(0, Math.min(longest.x.length - 1, at < 0 ? 0 : at + step))]);
    });
  });

  // Which section is being read.
  if (window.IntersectionObserver) {
    var links = {};
    all(".contents a").forEach(function (link) { links[link.hash.slice(1)] = link; });
    var watcher = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        var link = links[entry.target.getAttribute("aria-labelledby")];
        if (link && entry.isIntersecting) {
          all(".contents [aria-current]").forEach(function (each) { each.removeAttribute("aria-current"); });
          link.setAttribute("aria-current", "true");
        }
      });
    }, { rootMargin: "-15% 0px -75% 0px" });
    all("main > section").forEach(function (section) { watcher.observe(section); });
  }
})();

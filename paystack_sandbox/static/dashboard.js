/* Keeps each part marked data-live as it is now on the server, unless the reader is busy with it. */
(function () {
  "use strict";

  var EVERY_MS = 2000;
  var shown = {};
  var touched = false;

  function isBusy(place) {
    var active = document.activeElement;
    var selection = window.getSelection();
    return (active && place.contains(active) && /^(INPUT|TEXTAREA|SELECT)$/.test(active.tagName))
      || (!selection.isCollapsed && selection.intersectsNode && selection.containsNode(place, true))
      || Array.prototype.some.call(place.querySelectorAll("input:not([type=hidden])"), function (input) {
        return input.value !== input.defaultValue;
      });
  }

  function openDetails(place) {
    return Array.prototype.map.call(place.querySelectorAll("details"), function (one) { return one.open; });
  }

  function swap(place, html) {
    if (html === shown[place.id] || isBusy(place)) return;
    shown[place.id] = html;
    var open = openDetails(place);
    var focused = place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    place.innerHTML = html;
    Array.prototype.forEach.call(place.querySelectorAll("details"), function (one, index) { one.open = !!open[index]; });
    if (focused) {
      var again = Array.prototype.filter.call(place.querySelectorAll("a"), function (one) {
        return one.getAttribute("href") === focused;
      })[0];
      if (again) again.focus({ preventScroll: true });
    }
  }

  function update(text) {
    var fresh = new DOMParser().parseFromString(text, "text/html");
    document.querySelectorAll("[data-live]").forEach(function (place) {
      var found = fresh.getElementById(place.id);
      if (found) swap(place, found.innerHTML);
    });
  }

  function look() {
    if (document.hidden || touched) return;
    fetch(location.href).then(function (answer) {
      document.body.classList.remove("gone");
      return answer.ok ? answer.text().then(update) : null;
    }).catch(function () { document.body.classList.add("gone"); });
  }

  document.querySelectorAll("[data-live]").forEach(function (place) { shown[place.id] = place.innerHTML; });
  document.querySelectorAll("form[data-submit-on-change]").forEach(function (form) {
    form.addEventListener("change", function () { form.submit(); });
  });
  // A page that is being left must not be changed under the reader's hand.
  document.addEventListener("submit", function () { touched = true; });
  setInterval(look, EVERY_MS);
})();

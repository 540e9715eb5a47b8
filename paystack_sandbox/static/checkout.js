/* What makes the checkout handier; every page works without it. */
(function () {
  "use strict";

  var body = document.body;

  function tellMerchantsPage() {
    var told = body.dataset;
    if (!told.event || window.parent === window) return;
    window.parent.postMessage({
      from: "paystack-sandbox",
      event: told.event,
      id: Number(told.id),
      reference: told.reference,
      accessCode: told.accessCode,
      redirect: told.redirect,
      customer: { email: told.email, customer_code: told.customerCode },
    }, "*");
  }

  function watch() {
    var address = body.dataset.watch;
    setInterval(function () {
      fetch(address + "/state").then(function (response) { return response.json(); }).then(function (now) {
        if (now.state !== body.dataset.seen) location.replace(address + "?waiting=1");
      }).catch(function () { /* The sandbox is restarting; the next turn asks again. */ });
    }, 1500);
  }

  function countDown(element) {
    var left = Number(element.dataset.secondsLeft);
    var timer = setInterval(function () {
      left -= 1;
      if (left <= 0) {
        clearInterval(timer);
        location.replace(body.dataset.watch + "?waiting=1");
      }
      element.textContent = Math.floor(Math.max(left, 0) / 60) + ":" + String(Math.max(left, 0) % 60).padStart(2, "0");
    }, 1000);
  }

  /* Keeps the caret at the end of what is typed, which is where people type. */
  function formatted(input, format) {
    input.addEventListener("input", function () {
      if (input.selectionStart === input.value.length) input.value = format(input.value);
    });
  }

  function groups(text) {
    return text.replace(/[^0-9]/g, "").slice(0, 19).replace(/(.{4})(?=.)/g, "$1 ");
  }

  function expiry(text) {
    var digits = text.replace(/[^0-9]/g, "");
    if (/^[2-9]/.test(digits)) digits = "0" + digits;
    return digits.length < 3 ? digits : digits.slice(0, 2) + " / " + digits.slice(2, 4);
  }

  function brand(number) {
    if (/^4/.test(number)) return "Visa";
    if (/^(50[67]|5061|6500)/.test(number)) return "Verve";
    if (/^(5[1-5]|2[2-7])/.test(number)) return "Mastercard";
    if (/^3[47]/.test(number)) return "Amex";
    return "";
  }

  var card = document.getElementById("card_number");
  if (card) {
    var label = document.createElement("span");
    label.className = "brand";
    card.parentElement.appendChild(label);
    var name = function () { label.textContent = brand(card.value); };
    formatted(card, groups);
    card.addEventListener("input", name);
    name();
  }
  var date = document.getElementById("expiry");
  if (date) formatted(date, expiry);

  var account = document.getElementById("account-number");
  if (account && navigator.clipboard) {
    var copy = document.createElement("button");
    copy.type = "button";
    copy.className = "copy";
    copy.textContent = "Copy";
    copy.onclick = function () {
      navigator.clipboard.writeText(account.textContent).then(function () { copy.textContent = "Copied"; });
    };
    account.parentElement.appendChild(copy);
  }

  document.querySelectorAll("form").forEach(function (form) {
    form.addEventListener("submit", function (event) {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "1";
    });
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form").forEach(function (form) { delete form.dataset.sent; });
  });

  document.addEventListener("keydown", function (event) {
    var cancel = document.getElementById("cancel-button");
    if (event.key === "Escape" && body.dataset.event && cancel) cancel.click();
  });

  var end = document.querySelector("[data-seconds-left]");
  if (end) countDown(end);
  if (body.dataset.watch) watch();
  tellMerchantsPage();
})();

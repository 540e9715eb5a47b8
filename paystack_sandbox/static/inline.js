/* The sandbox's popup: the interface of Paystack's Inline v2 (and v1's PaystackPop.setup), against this server.
 * It answers `new PaystackPop()`, newTransaction, resumeTransaction, checkout, preloadTransaction, cancelTransaction,
 * paymentRequest and isLoaded, with the callbacks onLoad, onSuccess, onCancel, onError. */
(function () {
  "use strict";

  var script = document.currentScript;
  var base = script.src.replace(/(\/v[12])?\/inline\.js.*$/, "");
  var CALLBACKS = ["onLoad", "onSuccess", "onCancel", "onError", "onClose", "callback", "onElementsMount"];
  var loaded = false;
  var open = null;

  function newId() {
    return Math.random().toString(36).slice(2, 7);
  }

  function ask(path, options) {
    var request = options ? { method: "POST", body: JSON.stringify(options) } : {};
    return fetch(base + path, request)
      .then(function (response) { return response.json(); })
      .then(function (answer) {
        if (!answer.status) throw new Error(answer.message);
        return answer.data;
      });
  }

  /* Options without the callbacks: what the server is told. */
  function parameters(options) {
    var kept = {};
    Object.keys(options).forEach(function (name) {
      if (CALLBACKS.indexOf(name) < 0 && typeof options[name] !== "function") kept[name] = options[name];
    });
    return kept;
  }

  function PopupTransaction(callbacks) {
    this.id = newId();
    this.accessCode = null;
    this.reference = null;
    this.status = null;
    this.errors = [];
    this.response = null;
    this.callbacks = callbacks || {};
    this.ready = null;
  }

  PopupTransaction.prototype.tell = function (name, value) {
    var callback = this.callbacks[name];
    if (typeof callback === "function") callback(value);
  };

  PopupTransaction.prototype.getStatus = function () {
    return {
      status: this.status,
      id: this.response && this.response.id,
      errors: this.errors,
      response: this.response,
      checkoutUrl: this.accessCode && base + "/checkout/" + this.accessCode,
    };
  };

  PopupTransaction.prototype.cancel = function () {
    if (open && open.transaction === this) close();
    this.status = "abandoned";
    this.tell("onCancel");
    this.tell("onClose");
  };

  PopupTransaction.prototype.load = function (path, options) {
    var transaction = this;
    this.ready = ask(path, options).then(function (data) {
      transaction.response = data;
      transaction.accessCode = data.access_code;
      transaction.reference = data.reference;
      return transaction;
    });
    return this;
  };

  PopupTransaction.prototype.show = function () {
    var transaction = this;
    return this.ready.then(function () {
      frame(transaction);
      return transaction;
    }).catch(function (error) {
      transaction.status = "error";
      transaction.errors.push(error);
      transaction.tell("onError", { message: error.message });
      throw error;
    });
  };

  function frame(transaction) {
    if (open) close();
    var element = document.createElement("iframe");
    element.src = base + "/popup/" + transaction.accessCode;
    element.title = "Paystack checkout";
    element.allow = "clipboard-write";
    element.id = "inline-checkout-" + transaction.id;
    element.setAttribute("role", "dialog");
    var style = element.style;
    style.position = "fixed";
    style.inset = "0";
    style.width = "100%";
    style.height = "100%";
    style.border = "0";
    style.margin = "0";
    style.zIndex = "2147483647";
    style.background = "rgb(9 20 34 / 0.6)";
    style.colorScheme = "light";
    open = { transaction: transaction, element: element, overflow: document.body.style.overflow,
      focused: document.activeElement };
    document.body.style.overflow = "hidden";
    document.body.appendChild(element);
  }

  function close() {
    document.body.style.overflow = open.overflow;
    open.element.remove();
    if (open.focused && open.focused.focus) open.focused.focus();
    open = null;
  }

  window.addEventListener("message", function (message) {
    if (!open || message.source !== open.element.contentWindow) return;
    var told = message.data || {};
    if (told.from !== "paystack-sandbox") return;
    var transaction = open.transaction;
    if (told.event === "load" && transaction.status === null) {
      loaded = true;
      transaction.status = "pending";
      open.element.focus();
      transaction.tell("onLoad", { id: told.id, accessCode: told.accessCode, customer: told.customer });
    } else if (told.event === "success") {
      close();
      transaction.status = "success";
      succeed(transaction, told);
    } else if (told.event === "cancel") {
      transaction.cancel();
    }
  });

  function succeed(transaction, told) {
    var query = "?trxref=" + encodeURIComponent(told.reference) + "&reference=" + encodeURIComponent(told.reference);
    var result = {
      id: told.id,
      reference: told.reference,
      trxref: told.reference,
      trans: String(told.id),
      transaction: String(told.id),
      status: "success",
      message: "Approved",
      redirecturl: told.redirect || query,
    };
    transaction.tell("onSuccess", result);
    transaction.tell("callback", result);
  }

  function PaystackPop() {
    if (!(this instanceof PaystackPop)) return new PaystackPop();
    this.id = newId();
    this.transactions = [];
  }

  /* The transaction these parameters already started, unless it has ended: as Paystack's script resumes it. */
  PaystackPop.prototype._transaction = function (options) {
    var asked = parameters(options);
    var key = JSON.stringify(asked);
    var known = this.transactions.filter(function (one) {
      return one.key === key && (one.status === null || one.status === "abandoned" || one.status === "pending");
    })[0];
    if (known) {
      known.callbacks = options;
      known.status = null;
      return known;
    }
    var transaction = new PopupTransaction(options).load("/checkout/request_inline", asked);
    transaction.key = key;
    this.transactions.push(transaction);
    return transaction;
  };

  PaystackPop.prototype.isLoaded = function () { return loaded; };

  PaystackPop.prototype.newTransaction = function (options) {
    var transaction = this._transaction(options || {});
    transaction.show().catch(reported);
    return transaction;
  };

  PaystackPop.prototype.checkout = function (options) {
    return this._transaction(options || {}).show();
  };

  PaystackPop.prototype.resumeTransaction = function (accessCode, callbacks) {
    var given = typeof accessCode === "object" ? accessCode : callbacks || {};
    var code = typeof accessCode === "object" ? accessCode.accessCode || accessCode.access_code : accessCode;
    var transaction = new PopupTransaction(given).load("/checkout/verify_access_code/" + encodeURIComponent(code));
    this.transactions.push(transaction);
    transaction.show().catch(reported);
    return transaction;
  };

  PaystackPop.prototype.preloadTransaction = function (options) {
    var transaction = this._transaction(options || {});
    transaction.ready.catch(reported);
    return function () {
      transaction.show().catch(reported);
      return transaction;
    };
  };

  PaystackPop.prototype.cancelTransaction = function (idOrTransaction) {
    this.transactions.filter(function (one) {
      return one === idOrTransaction || one.id === idOrTransaction;
    }).forEach(function (one) { one.cancel(); });
  };

  /* There are no wallets such as Apple Pay here: only the button that opens the checkout is set up. */
  PaystackPop.prototype.paymentRequest = function (options) {
    var pop = this;
    var button = document.getElementById(options.loadPaystackCheckoutButton || "");
    if (button) button.onclick = function () { pop.newTransaction(options); };
    if (typeof options.onElementsMount === "function") options.onElementsMount(null);
    return Promise.resolve();
  };

  /* Version 1. */
  PaystackPop.setup = function (options) {
    var pop = new PaystackPop();
    var start = function () { return pop.newTransaction(options); };
    return { open: start, openIframe: start };
  };

  /* onError has told it already. */
  function reported() {}

  /* <form><script src=".../inline.js" data-key data-email data-amount></script></form> */
  function button(form) {
    var options = {};
    Object.keys(script.dataset).forEach(function (name) { options[name] = script.dataset[name]; });
    options.onSuccess = function (result) {
      var field = document.createElement("input");
      field.type = "hidden";
      field.name = "reference";
      field.value = result.reference;
      form.appendChild(field);
      form.submit();
    };
    var element = document.createElement("button");
    element.type = "button";
    element.textContent = options.buttonText || "Pay " + (options.currency || "") + " " + options.amount / 100;
    element.onclick = function () { new PaystackPop().newTransaction(options); };
    form.insertBefore(element, script);
  }

  window.PaystackPop = PaystackPop;
  if (script.dataset.key && script.parentElement.tagName === "FORM") button(script.parentElement);
})();

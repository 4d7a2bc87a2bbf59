// Says that the page's own script does not run: this one is written for browsers that are too old for that.
/* eslint-disable no-var -- older browsers have nothing else */
(function () {
  // Longer than a slow phone takes from the page's load to the first figures, ms. Told too early, the page itself puts it right.
  var PATIENCE_MS = 5000;

  window.addEventListener('load', function () {
    setTimeout(function () {
      if (document.documentElement.hasAttribute('data-started')) return;
      var verdict = document.getElementById('verdict');
      verdict.className = 'card verdict bad';
      verdict.textContent = '';
      add(verdict, 'h2', 'This page does not run in this browser');
      add(
        verdict,
        'p',
        'Most likely the browser is too old: it should be Chrome or Edge 94, Firefox 93, Safari 16.4 (iOS 16.4), or newer. In an older one calls may fail, too. If it is new enough, load the page again: its script may have been lost on the way.',
      );
      document.getElementById('activity').textContent = 'nothing is tested';
    }, PATIENCE_MS);
  });

  function add(parent, tag, text) {
    var element = document.createElement(tag);
    element.appendChild(document.createTextNode(text));
    parent.appendChild(element);
  }
})();

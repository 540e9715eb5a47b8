"""The HTML pages: plain, without JavaScript, for a host to include at the root."""

package config

// Known are the kinds of hosts that the tests use: those that Sentry has. Their packages import this one.
var Known []Host

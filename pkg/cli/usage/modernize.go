package usage

import "strings"

// Modernize translates --version and -version to the command. The older form `sentry -action=watch -config=FILE -verbose`,
// which people's manifests still hold, becomes `sentry watch --config=FILE --verbose`. Its validate is what their probes call
// and becomes the quick one. Anything else is returned as it is.
func Modernize(args []string) ([]string, error) {
	if len(args) == 1 && (args[0] == "--version" || args[0] == "-version") {
		return []string{"version"}, nil
	}
	old := false
	for _, a := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		old = old || name == "action" && strings.HasPrefix(a, "-")
	}
	if !old {
		return args, nil
	}
	action, rest := "", []string(nil)
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		takesValue := name == "action" || name == "config"
		if takesValue && !given {
			if i++; i == len(args) {
				return nil, Errorf("-%s needs a value", name)
			}
			value = args[i]
		}
		switch {
		case name == "action":
			action = value
		case name == "config":
			rest = append(rest, "--config="+value)
		case name == "verbose" && given:
			rest = append(rest, "--verbose="+value)
		case name == "verbose":
			rest = append(rest, "--verbose")
		default:
			return nil, Errorf("%s does not go with -action; write: sentry %s … with the flags of today", args[i], action)
		}
	}
	switch action {
	case "watch":
		return append([]string{action}, rest...), nil
	case "validate":
		return append([]string{action, "--quick"}, rest...), nil
	case "trigger": // it has never taken names
		return append([]string{action, "--all"}, rest...), nil
	}
	return nil, Errorf("-action=%s: want watch, trigger or validate", action)
}

//go:build windows

package filelock

import (
	"errors"
	"fmt"
)

// Try returns an error that matches errors.ErrUnsupported.
func Try(path string) (*Lock, error) {
	return nil, fmt.Errorf("lock %s: %w on Windows", path, errors.ErrUnsupported)
}

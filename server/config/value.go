package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxDuration keeps sums of configured times far from overflow; nobody waits longer.
const maxDuration = 365 * 24 * time.Hour

// Duration is a time span, written "1m30s".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"30s\", \"2m\" or \"500ms\"", text)
	}
	if v < 0 || v > maxDuration {
		return fmt.Errorf("%s is out of range, want 0s to %s", text, Duration(maxDuration))
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes, written "512MiB".
type Size int64

// sizeUnits are tried in this order by String, which wants the largest that divides
// exactly; decimal units are read and never written.
func sizeUnits() []struct {
	name  string
	bytes int64
} {
	return []struct {
		name  string
		bytes int64
	}{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
}

func (s Size) String() string {
	for _, u := range sizeUnits()[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Size) UnmarshalText(text []byte) error {
	str := string(text)
	digits := len(str) - len(strings.TrimLeft(str, "0123456789"))
	n, err := strconv.ParseInt(str[:digits], 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%q is too large", text)
	}
	if err != nil {
		return fmt.Errorf("%q is not a size such as \"512KiB\" or \"20MiB\"", text)
	}
	unit := strings.TrimSpace(str[digits:])
	for _, u := range sizeUnits() {
		if u.name != unit {
			continue
		}
		if n > math.MaxInt64/u.bytes {
			return fmt.Errorf("%q is too large", text)
		}
		*s = Size(n * u.bytes)
		return nil
	}
	if unit == "" {
		return fmt.Errorf("%q needs a unit: B, KiB, MiB, GiB or TiB", text)
	}
	return fmt.Errorf("%q has the unknown unit %q, want B, KiB, MiB, GiB or TiB", text, unit)
}

// FileMode is a permission set, written in octal: "0660".
type FileMode uint32

func (m FileMode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

func (m FileMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m *FileMode) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || v > 0o777 {
		return fmt.Errorf("%q is not an octal mode from \"0000\" to \"0777\"", text)
	}
	*m = FileMode(v)
	return nil
}

package static

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ManifestName is the file in a collected folder that says what is in it. The dot keeps it
// from being served.
const ManifestName = ".ostler-static.json"

// Manifest is what the collector knows of a folder. The zero Manifest is one of a folder
// that was not collected.
type Manifest struct {
	// Assets gives the hashed name of each file: css/app.css is css/app.3f2a9c01b2d4.css.
	// Empty without hashed names.
	Assets map[string]string `json:"assets,omitempty"`

	// Files are all that the collector has put there and not removed since, sorted.
	Files []string `json:"files"`
}

// ReadManifest reads the manifest in a folder. A folder without one has the zero Manifest.
func ReadManifest(root *os.Root) (Manifest, error) {
	var m Manifest
	text, err := root.ReadFile(ManifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("%s in %s is damaged, remove it and collect again: %w", ManifestName, root.Name(), err)
	}
	return m, nil
}

// Lasting reports whether the content behind a name never changes. A name that came later
// than this manifest is recognised by its form: while a reload is under way, pages of new
// workers have names that old workers are asked for.
func (m Manifest) Lasting(name string) bool {
	if len(m.Assets) == 0 || !looksHashed(name) {
		return false
	}
	_, plain := m.Assets[name]
	return !plain
}

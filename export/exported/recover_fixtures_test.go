package exported

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"softprompt/models"
)

// fixture is one folder of testdata/exported, as manifest.json lists them.
type fixture struct {
	Name, Arch, Precision, Kind string
}

const fixtures = "../testdata/exported"

func readManifest(t *testing.T) []fixture {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []fixture
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func openFixture(t *testing.T, name string) *models.Model {
	t.Helper()
	m, err := models.Open(context.Background(), "./"+filepath.ToSlash(filepath.Join(fixtures, name)), models.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestRecoverFixtures(t *testing.T) {
	for _, f := range readManifest(t) {
		t.Run(f.Name, func(t *testing.T) {
			m := openFixture(t, f.Name)
			r, err := RecoverFiles(context.Background(), m)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for _, n := range r.Notes {
				t.Log(n)
			}
		})
	}
}

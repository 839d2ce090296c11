package hub

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFromEnv(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, ".cache/huggingface/token"), " hf_file\r\n")
	write(t, filepath.Join(home, "hf/token"), "hf_home")
	write(t, filepath.Join(home, "my-token"), "hf_\nmine\n")
	for _, test := range []struct {
		name string
		env  map[string]string
		want Client
	}{
		{"nothing", nil, Client{CacheDir: home + "/.cache/huggingface/hub", Token: "hf_file"}},
		{"XDG_CACHE_HOME", map[string]string{"XDG_CACHE_HOME": home + "/xdg"}, Client{CacheDir: home + "/xdg/huggingface/hub"}},
		{"HF_HOME", map[string]string{"HF_HOME": "~/hf", "XDG_CACHE_HOME": "/x"}, Client{CacheDir: home + "/hf/hub", Token: "hf_home"}},
		{"HF_HOME with a variable", map[string]string{"HF_HOME": "$WHERE/hf", "WHERE": home}, Client{CacheDir: home + "/hf/hub", Token: "hf_home"}},
		{"HUGGINGFACE_HUB_CACHE", map[string]string{"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/hf"}, Client{CacheDir: "/old"}},
		{"HF_HUB_CACHE", map[string]string{"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old"}, Client{CacheDir: "/new", Token: "hf_file"}},
		{"HF_TOKEN", map[string]string{"HF_TOKEN": " hf_env\n", "HF_HOME": "~/hf"}, Client{CacheDir: home + "/hf/hub", Token: "hf_env"}},
		{"HUGGING_FACE_HUB_TOKEN", map[string]string{"HUGGING_FACE_HUB_TOKEN": "hf_old", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub", Token: "hf_old"}},
		{"HF_TOKEN_PATH", map[string]string{"HF_TOKEN_PATH": "~/my-token", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub", Token: "hf_mine"}},
		{"no token file", map[string]string{"HF_TOKEN_PATH": "/no/such", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub"}},
		{"no token wanted", map[string]string{"HF_HUB_DISABLE_IMPLICIT_TOKEN": "YES", "HF_TOKEN": "hf_env", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub"}},
		{"HF_ENDPOINT", map[string]string{"HF_ENDPOINT": "https://hub.example/hf/", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub", Endpoint: "https://hub.example/hf"}},
		{"offline", map[string]string{"HF_HUB_OFFLINE": "on", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub", Offline: true}},
		{"offline for transformers", map[string]string{"TRANSFORMERS_OFFLINE": "True", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub", Offline: true}},
		{"online after all", map[string]string{"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub"}},
		{"no symlinks", map[string]string{"HF_HUB_DISABLE_SYMLINKS": "1", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub", NoSymlinks: true}},
		{"timeout", map[string]string{"HF_HUB_DOWNLOAD_TIMEOUT": "30", "HF_HOME": "/hf"}, Client{CacheDir: "/hf/hub", Timeout: 30 * time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			clearEnv(t, home)
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			got, err := FromEnv()
			if err != nil {
				t.Fatal(err)
			}
			if got.CacheDir != test.want.CacheDir || got.Token != test.want.Token || got.Endpoint != test.want.Endpoint ||
				got.Offline != test.want.Offline || got.NoSymlinks != test.want.NoSymlinks || got.Timeout != test.want.Timeout {
				t.Errorf("%+v, wanted %+v", got, test.want)
			}
		})
	}
}

// clearEnv unsets what FromEnv reads.
func clearEnv(t *testing.T, home string) {
	t.Helper()
	for _, name := range []string{
		"HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME",
		"XDG_CACHE_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_DISABLE_SYMLINKS", "HF_HUB_DOWNLOAD_TIMEOUT",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
}

func TestFromEnvErrors(t *testing.T) {
	clearEnv(t, "")
	_, err := FromEnv()
	wantError(t, err, "finding the hub's cache", "hint:HF_HOME")

	home := t.TempDir()
	clearEnv(t, home)
	t.Setenv("HF_HUB_DOWNLOAD_TIMEOUT", "soon")
	_, err = FromEnv()
	wantError(t, err, `HF_HUB_DOWNLOAD_TIMEOUT is "soon"`, "hint:seconds")

	clearEnv(t, home)
	if err := os.MkdirAll(filepath.Join(home, "token"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HF_HOME", home)
	_, err = FromEnv()
	wantError(t, err, "reading the hub's token", "hint:HF_TOKEN")
}

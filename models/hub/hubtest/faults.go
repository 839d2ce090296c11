package hubtest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Fault answers a request in the hub's place; serve is what the hub would do.
type Fault func(w http.ResponseWriter, r *http.Request, serve http.Handler)

type fault struct {
	kind, path string
	left       int
	how        Fault
}

// Break lets the hub go wrong on the next requests of a kind, as in [Request],
// whose path contains a string: so many times, or always if times is
// negative. The fault that was set last comes first.
func (h *Hub) Break(kind, path string, times int, how Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append([]*fault{{kind, path, times, how}}, h.faults...)
}

// Repair ends all faults.
func (h *Hub) Repair() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = nil
}

// fault puts the first fault that fits before a handler.
func (h *Hub) fault(kind, path string, serve http.Handler) http.Handler {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.faults {
		if f.kind == kind && strings.Contains(path, f.path) && f.left != 0 {
			f.left--
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.how(w, r, serve) })
		}
	}
	return serve
}

// Cut breaks the connection after so many bytes of the body; with a negative
// number, before the answer.
func Cut(after int) Fault {
	return func(w http.ResponseWriter, r *http.Request, serve http.Handler) {
		if after >= 0 {
			serve.ServeHTTP(&cutter{w, after}, r)
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// cutter passes so many bytes on.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

// Status answers with a status and headers, given by name and value.
func Status(status int, headers ...string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		http.Error(w, http.StatusText(status), status)
	}
}

// Body answers 200 with this body.
func Body(body string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		io.WriteString(w, body)
	}
}

// Endless answers 200 with a body that does not end.
func Endless(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	junk := []byte(strings.Repeat("junk ", 4096))
	for {
		if _, err := w.Write(junk); err != nil {
			return
		}
	}
}

// Announce answers with the right body after a false Content-Length.
func Announce(length int) Fault {
	return func(w http.ResponseWriter, r *http.Request, serve http.Handler) {
		conn, out, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		body := &recorder{header: http.Header{}}
		serve.ServeHTTP(body, r)
		fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, body.String())
		out.Flush()
	}
}

// recorder keeps a body.
type recorder struct {
	strings.Builder
	header http.Header
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}

// Corrupt changes a byte of the body.
func Corrupt(w http.ResponseWriter, r *http.Request, serve http.Handler) {
	serve.ServeHTTP(&corrupter{ResponseWriter: w}, r)
}

type corrupter struct {
	http.ResponseWriter
	done bool
}

func (c *corrupter) Write(p []byte) (int, error) {
	if len(p) > 0 && !c.done {
		p = append([]byte{p[0] ^ 0x20}, p[1:]...)
		c.done = true
	}
	return c.ResponseWriter.Write(p)
}

// IgnoreRange answers with the whole file, whatever range is asked for.
func IgnoreRange(w http.ResponseWriter, r *http.Request, serve http.Handler) {
	r.Header.Del("Range")
	serve.ServeHTTP(w, r)
}

// Redirect leads to another address.
func Redirect(url string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, url, http.StatusFound)
	}
}

// Loop leads back to where the request came from.
func Loop(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	http.Redirect(w, r, r.URL.RequestURI(), http.StatusFound)
}

// Header sets headers of the answer, given by name and value; an empty value
// removes one.
func Header(headers ...string) Fault {
	return func(w http.ResponseWriter, r *http.Request, serve http.Handler) {
		serve.ServeHTTP(&headerer{w, headers}, r)
	}
}

type headerer struct {
	http.ResponseWriter
	headers []string
}

func (h *headerer) WriteHeader(status int) {
	for i := 0; i+1 < len(h.headers); i += 2 {
		h.Header().Del(h.headers[i])
		if h.headers[i+1] != "" {
			h.Header().Set(h.headers[i], h.headers[i+1])
		}
	}
	h.ResponseWriter.WriteHeader(status)
}

// Hang answers nothing until the client goes away.
func Hang(w http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }

// Stall sends so many bytes of the body and then nothing more until the
// client goes away.
func Stall(after int) Fault {
	return func(w http.ResponseWriter, r *http.Request, serve http.Handler) {
		defer func() {
			if recover() != nil {
				<-r.Context().Done()
			}
		}()
		serve.ServeHTTP(&cutter{w, after}, r)
	}
}

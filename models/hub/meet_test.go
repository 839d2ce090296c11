package hub

import (
	"net/http"
	"sync"
	"time"

	"softprompt/models/hub/hubtest"
)

// meet holds the first requests back until so many are there, and notes the
// most that there were at once.
func meet(mu *sync.Mutex, running, most *int, arrived chan struct{}, together int) hubtest.Fault {
	all := make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request, serve http.Handler) {
		mu.Lock()
		*running++
		*most = max(*most, *running)
		if arrived <- struct{}{}; len(arrived) == together {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
		case <-time.After(5 * time.Second): // fails the test, which counts
		}
		serve.ServeHTTP(w, r)
		mu.Lock()
		*running--
		mu.Unlock()
	}
}

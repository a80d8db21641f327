// Calls a URL, leaving each body unread or reading it to its end: go-net-http URL CALLS unread|read
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

func main() {
	calls, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	for i := 0; i < calls; i++ {
		response, err := http.Get(os.Args[1])
		if err != nil {
			log.Fatal(err)
		}
		if os.Args[3] == "read" {
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	}
}

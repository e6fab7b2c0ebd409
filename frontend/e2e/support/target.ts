import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A web server on loopback that is probed; what it answers can be changed, and it can go away. */
export class Target {
  status = 200
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<Target> {
    const server = createServer((_request, response) => {
      response.writeHead(target.status, { 'Content-Type': 'text/plain' }).end('all is ok, version 2\n')
    })
    const target = new Target(server)
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    return target
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    if (this.#server.listening) {
      await new Promise((resolve) => {
        this.#server.close(resolve)
      })
    }
  }
}

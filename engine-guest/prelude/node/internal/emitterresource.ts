/**
 * `EventEmitterAsyncResource`: an emitter whose listeners run in the context of the place where it was made.
 */
import { arrayConcat } from "../../library.ts";
import { apply } from "../../primordials.ts";
import { AsyncResource } from "../async_hooks.ts";

class EmitterReference extends AsyncResource {
  #emitter: any;

  constructor(emitter: any, type: string, options: any) {
    super(type, options);
    this.#emitter = emitter;
  }

  get eventEmitter(): any {
    return this.#emitter;
  }
}

export let EventEmitterAsyncResource: any;

/** Makes the class, once its base is known. */
export function linkEmitter(EventEmitter: any): void {
  EventEmitterAsyncResource = class EventEmitterAsyncResource extends EventEmitter {
    #resource: any;

    constructor(options: any = undefined) {
      super(options);
      const name = typeof options === "string" ? options : options?.name ?? new.target.name;
      this.#resource = new EmitterReference(this, name, options);
    }

    emit(type: any, ...args: any[]): boolean {
      return apply(
        this.#resource.runInAsyncScope, this.#resource, arrayConcat([super.emit, this, type], args),
      );
    }

    emitDestroy(): void {
      this.#resource.emitDestroy();
    }

    get asyncId(): number {
      return this.#resource.asyncId();
    }

    get triggerAsyncId(): number {
      return this.#resource.triggerAsyncId();
    }

    get asyncResource(): any {
      return this.#resource;
    }
  };
}

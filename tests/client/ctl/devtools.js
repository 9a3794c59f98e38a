// SPDX-License-Identifier: Apache-2.0
// What the loader of Chrome DevTools finds in a .heapsnapshot: objects, bytes, the distance from the root by type. devtools.js FILE: the last line is JSON.
// npm's chrome-devtools-frontend has its sources alone: esbuild makes a program of those that load a snapshot.
const fs = require('fs');
const path = require('path');
const {pathToFileURL} = require('url');
const {MessageChannel} = require('worker_threads');
const esbuild = require('esbuild');

const sources = path.join(path.dirname(require.resolve('chrome-devtools-frontend/package.json')), 'front_end');
const worker = './entrypoints/heap_snapshot_worker/';
// Made when DevTools is built; here only its names are needed.
const generated = "export const BUNDLED_LOCALES = ['en-US'], LOCALES = ['en-US'], DEFAULT_LOCALE = 'en-US'," +
    " REMOTE_FETCH_PATTERN = '', LOCAL_FETCH_PATTERN = '';";
const stub = {
    name: 'generated',
    setup(build) {
        build.onResolve({filter: /\/locales\.js$/}, () => ({path: 'locales', namespace: 'generated'}));
        build.onLoad({filter: /.*/, namespace: 'generated'}, () => ({contents: generated}));
    },
};

/** The program is written into @folder. */
async function loaded(folder) {
    const made = path.join(folder, 'devtools.mjs');
    await esbuild.build({
        stdin: {contents: `export * from '${worker}HeapSnapshotLoader.js'; export * from '${worker}HeapSnapshot.js';`, resolveDir: sources},
        bundle: true, outfile: made, format: 'esm', platform: 'node', logLevel: 'error', plugins: [stub],
    });
    return import(pathToFileURL(made));
}

async function main(file) {
    globalThis.self = globalThis;
    Promise.withResolvers ??= () => {                      // nodes before 22
        const with_ = {};
        with_.promise = new Promise((resolve, reject) => Object.assign(with_, {resolve, reject}));
        return with_;
    };
    const {HeapSnapshotLoader, SecondaryInitManager} = await loaded(path.dirname(file));
    const loader = new HeapSnapshotLoader({sendEvent() {}});
    loader.write(fs.readFileSync(file, 'utf8'));
    loader.close();
    await loader.parsingComplete;
    const {port1, port2} = new MessageChannel();
    new SecondaryInitManager(port2);
    port2.start();
    const snapshot = await loader.buildSnapshot(port1);
    const types = {};
    for (const found of Object.values(snapshot.aggregatesWithFilter({equals: () => false})))
        types[found.name] = {objects: found.count, bytes: found.self, retained: found.maxRet, distance: found.distance};
    console.log(JSON.stringify({types, nodes: snapshot.nodeCount, total: snapshot.totalSize}));
}

main(process.argv[2]).then(() => process.exit(0), error => {
    console.error(error);
    process.exit(1);
});

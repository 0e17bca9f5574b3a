# What Debian's policy asks of a package besides, done by cpack to the files that it has staged.
set(root ${CPACK_TEMPORARY_DIRECTORY}${CPACK_PACKAGING_INSTALL_PREFIX})
set(share ${root}/share)
set(doc ${share}/doc/${CPACK_PACKAGE_NAME})
file(COPY_FILE ${doc}/LICENSE ${doc}/copyright)

# The changelog in Debian's own form; the real one is CHANGELOG.md beside it.
file(STRINGS ${doc}/CHANGELOG.md release REGEX "^## \\[${CPACK_PACKAGE_VERSION}\\]")
string(REGEX REPLACE ".* - " "" date "${release}")
execute_process(COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C date --utc --rfc-email --date=${date}
  OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
file(WRITE ${doc}/changelog "${CPACK_PACKAGE_NAME} (${CPACK_PACKAGE_VERSION}) unstable; urgency=low

  * See CHANGELOG.md.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")

file(GLOB pages ${share}/man/man1/*.1)
execute_process(COMMAND gzip --best --no-name ${doc}/changelog ${pages} COMMAND_ERROR_IS_FATAL ANY)

# Whatever the umask is.
execute_process(COMMAND chmod -R u=rwX,go=rX ${root} COMMAND_ERROR_IS_FATAL ANY)
